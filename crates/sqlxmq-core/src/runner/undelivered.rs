//! Which payloads did not arrive when they were asked for, and how often in a row. Pure state, no I/O.
//!
//! A payload can break each connection that it is sent over, fail to be read, or take longer than its deadline each time. Its job would
//! come round for ever if it were only given back. An outage looks the same once, from here: so it takes several times, with a claim
//! that was answered before each, and nothing else asked for beside it.

use std::collections::HashMap;

use uuid::Uuid;

/// So often in a row, and alone, a payload does not arrive before that counts as a failed attempt of its job.
pub(super) const TRIES: u32 = 3;

/// More jobs than an outage interrupts. What is noted of jobs that others have run since is forgotten now and then.
const MAX_NOTED: usize = 1000;

/// Payloads that did not arrive.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    /// How often they did not when they were asked for alone.
    times: HashMap<Uuid, u32>,
}

impl Undelivered {
    /// Whether the payload is to be asked for alone, since it may be what keeps others from arriving.
    pub(super) fn is_suspect(&self, id: Uuid) -> bool {
        self.times.contains_key(&id)
    }

    pub(super) fn arrived(&mut self, id: Uuid) {
        self.times.remove(&id);
    }

    /// These, of those that were asked for in one statement, did not arrive. Returns the one whose attempt fails for it.
    pub(super) fn missed(&mut self, asked: &[Uuid], missing: impl IntoIterator<Item = Uuid>) -> Option<Uuid> {
        if self.times.len() > MAX_NOTED {
            self.times.clear();
        }
        let mut fails = None;
        for id in missing {
            let times = self.times.entry(id).or_default();
            if asked == [id] {
                *times += 1;
                if *times >= TRIES {
                    self.times.remove(&id);
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

    fn miss(undelivered: &mut Undelivered, asked: &[Uuid]) -> Option<Uuid> {
        undelivered.missed(asked, asked.iter().copied())
    }

    #[test]
    fn a_payload_that_does_not_arrive_three_times_in_a_row_fails_its_attempt() {
        let mut undelivered = Undelivered::default();
        assert_eq!(miss(&mut undelivered, &[ONE]), None);
        assert_eq!(miss(&mut undelivered, &[ONE]), None);
        assert_eq!(miss(&mut undelivered, &[ONE]), Some(ONE));
        assert_eq!(miss(&mut undelivered, &[ONE]), None, "it is counted anew");
    }

    #[test]
    fn a_payload_that_was_asked_for_with_others_is_suspected_and_not_counted() {
        let mut undelivered = Undelivered::default();
        for _ in 0..100 {
            assert_eq!(miss(&mut undelivered, &[ONE, OTHER]), None);
        }
        assert!(undelivered.is_suspect(ONE) && undelivered.is_suspect(OTHER));
        undelivered.arrived(ONE);
        assert!(!undelivered.is_suspect(ONE));
    }

    #[test]
    fn a_payload_that_arrives_begins_anew() {
        let mut undelivered = Undelivered::default();
        for _ in 0..100 {
            assert_eq!(miss(&mut undelivered, &[ONE]), None);
            assert_eq!(miss(&mut undelivered, &[ONE]), None);
            undelivered.arrived(ONE);
        }
    }

    #[test]
    fn what_is_noted_is_bounded() {
        let mut undelivered = Undelivered::default();
        for id in 0..10 * MAX_NOTED as u128 {
            miss(&mut undelivered, &[Uuid::from_u128(id)]);
            assert!(undelivered.times.len() <= MAX_NOTED + 1);
        }
    }
}
