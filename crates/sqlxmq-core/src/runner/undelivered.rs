//! Which payloads did not arrive when they were asked for, and how often in a row. Pure state, no I/O.
//!
//! A payload can break each connection that it is sent over, fail to be read, or take longer than its deadline each time. Its job would
//! come round for ever if it were only given back. An outage looks the same once, from here: so it takes several times, with a claim
//! that was answered before each, and nothing else asked for beside it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// So often in a row, and alone, a payload does not arrive before that counts as a failed attempt of its job.
pub(super) const TRIES: u32 = 3;

/// More jobs than an outage interrupts. What is noted of jobs that others have run since is forgotten now and then.
const MAX_NOTED: usize = 1000;

/// Payloads that did not arrive.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    /// How often they did not when they were asked for alone.
    times: Mutex<HashMap<Uuid, u32>>,
}

impl Undelivered {
    fn times(&self) -> MutexGuard<'_, HashMap<Uuid, u32>> {
        // Nothing panics under this lock.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the payload is to be asked for alone, since it may be what keeps others from arriving.
    pub(super) fn is_suspect(&self, id: Uuid) -> bool {
        self.times().contains_key(&id)
    }

    pub(super) fn arrived(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut times = self.times();
        // Mostly nothing is noted, and then nobody's id is asked for.
        if !times.is_empty() {
            for id in ids {
                times.remove(&id);
            }
        }
    }

    /// These, of those that were asked for in one statement, did not arrive. Returns the one whose attempt fails for it.
    pub(super) fn missed(&self, asked: &[Uuid], missing: impl IntoIterator<Item = Uuid>) -> Option<Uuid> {
        let mut times = self.times();
        if times.len() > MAX_NOTED {
            times.clear();
        }
        let mut fails = None;
        for id in missing {
            let noted = times.entry(id).or_default();
            if asked == [id] {
                *noted += 1;
                if *noted >= TRIES {
                    times.remove(&id);
                    fails = Some(id);
                }
            }
        }
        fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn miss(undelivered: &Undelivered, asked: &[Uuid]) -> Option<Uuid> {
        undelivered.missed(asked, asked.iter().copied())
    }

    #[test]
    fn a_payload_that_does_not_arrive_three_times_in_a_row_fails_its_attempt() {
        let undelivered = Undelivered::default();
        assert_eq!(miss(&undelivered, &[ONE]), None);
        assert_eq!(miss(&undelivered, &[ONE]), None);
        assert_eq!(miss(&undelivered, &[ONE]), Some(ONE));
        assert_eq!(miss(&undelivered, &[ONE]), None, "it is counted anew");
    }

    #[test]
    fn a_payload_that_was_asked_for_with_others_is_suspected_and_not_counted() {
        let undelivered = Undelivered::default();
        for _ in 0..100 {
            assert_eq!(miss(&undelivered, &[ONE, OTHER]), None);
        }
        assert!(undelivered.is_suspect(ONE) && undelivered.is_suspect(OTHER));
        undelivered.arrived([ONE]);
        assert!(!undelivered.is_suspect(ONE));
    }

    #[test]
    fn a_payload_that_arrives_begins_anew() {
        let undelivered = Undelivered::default();
        for _ in 0..100 {
            assert_eq!(miss(&undelivered, &[ONE]), None);
            assert_eq!(miss(&undelivered, &[ONE]), None);
            undelivered.arrived([ONE]);
        }
    }

    #[test]
    fn what_is_noted_is_bounded() {
        let undelivered = Undelivered::default();
        for id in 0..10 * MAX_NOTED as u128 {
            miss(&undelivered, &[Uuid::from_u128(id)]);
            assert!(undelivered.times().len() <= MAX_NOTED + 1);
        }
    }
}
