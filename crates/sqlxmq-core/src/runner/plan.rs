//! What the poller does next. Pure: no clock, no database.
//!
//! A runner is *awake* while jobs come in, and *asleep* while it waits for them with free slots: only then do spawns notify.

use std::time::{Duration, Instant};

/// After the last job the runner stays awake this long, so that a busy stream never notifies.
const LINGER: Duration = Duration::from_millis(30);
const LINGER_PAUSE: Duration = Duration::from_millis(5);

/// While spawns that began before the runner slept are in flight, it looks again after these pauses: nobody will notify.
const IN_FLIGHT_PAUSE: Duration = Duration::from_millis(5);
const IN_FLIGHT_PAUSE_MAX: Duration = Duration::from_millis(200);

/// A claim may say "more" and find nothing, where others have it locked. This often in a row it is believed.
const EMPTY_CLAIMS_AT_ONCE: u32 = 16;

/// How many jobs a runner keeps running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Claims up to that many jobs.
    Claim(usize),
    /// Waits until fewer than that are held.
    WaitForSlot { below: usize },
    /// Waits for a hint, or until then.
    WaitUntil(Instant),
    /// Announces that it sleeps.
    FallAsleep,
    /// Announces that it sleeps no more.
    Awaken,
}

#[derive(Debug)]
pub(crate) struct Plan {
    limits: Limits,
    is_asleep: bool,
    /// `None`: when asleep only.
    claim_at: Option<Instant>,
    last_job_at: Option<Instant>,
    in_flight_pause: Option<Duration>,
    empty_claims: u32,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) jobs: usize,
    pub(crate) more: bool,
}

impl Plan {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            is_asleep: false,
            claim_at: Some(now),
            last_job_at: None,
            in_flight_pause: None,
            empty_claims: 0,
        }
    }

    pub(crate) fn is_asleep(&self) -> bool {
        self.is_asleep
    }

    /// Whether spawns are looked after that began before the runner slept.
    pub(crate) fn watches_in_flight(&self) -> bool {
        self.in_flight_pause.is_some()
    }

    /// `held`: jobs that are claimed and whose outcome is not stored. `ahead`: how many more to have than can run.
    pub(crate) fn next(&self, now: Instant, held: usize, ahead: usize) -> Step {
        // Half of what is ahead is left when the next claim is sent: it is run while that is answered.
        let below = self.limits.min + ahead / 2;
        if held >= below {
            return match self.is_asleep {
                // Until then, which may be long, it has no use for those whom spawns would wake.
                true => Step::Awaken,
                false => Step::WaitForSlot { below },
            };
        }
        match self.claim_at {
            Some(at) if at <= now => Step::Claim(self.limits.max + ahead - held),
            Some(at) => Step::WaitUntil(at),
            None => Step::FallAsleep,
        }
    }

    /// Something may be ready.
    pub(crate) fn hinted(&mut self, now: Instant) {
        self.claim_at = Some(now);
    }

    /// A slot has become free after there was none.
    pub(crate) fn slot_freed(&mut self, now: Instant) {
        self.claim_at = Some(now);
    }

    /// `poll_interval`: jittered.
    pub(crate) fn claimed(&mut self, now: Instant, found: Found, can_sleep: bool, poll_interval: Duration) {
        if found.jobs > 0 {
            self.last_job_at = Some(now);
            self.empty_claims = 0;
            self.claim_at = Some(if found.more { now } else { now + LINGER_PAUSE });
            return;
        }
        self.empty_claims = self.empty_claims.saturating_add(1);
        let pause = if found.more && self.empty_claims < EMPTY_CLAIMS_AT_ONCE {
            Some(Duration::ZERO)
        } else if found.more {
            Some(LINGER_PAUSE)
        } else if self.is_asleep {
            Some(
                self.in_flight_pause
                    .map_or(poll_interval, |pause| pause.min(poll_interval)),
            )
        } else if self
            .last_job_at
            .is_some_and(|at| now.saturating_duration_since(at) < LINGER)
        {
            Some(LINGER_PAUSE.min(poll_interval))
        } else if can_sleep {
            None
        } else {
            Some(poll_interval)
        };
        self.claim_at = pause.map(|pause| now + pause);
    }

    /// Spawns notify from now on. What was spawned before is claimed once more.
    pub(crate) fn fell_asleep(&mut self, now: Instant, spawns_in_flight: bool) {
        self.is_asleep = true;
        self.claim_at = Some(now);
        self.in_flight_pause = spawns_in_flight.then_some(IN_FLIGHT_PAUSE);
    }

    /// A probe was in the way, or nobody listens any more.
    pub(crate) fn stays_awake(&mut self, now: Instant) {
        self.claim_at = Some(now + LINGER_PAUSE);
    }

    /// Some of the spawns that were in flight still are.
    pub(crate) fn still_in_flight(&mut self) {
        self.in_flight_pause = self
            .in_flight_pause
            .map(|pause| (pause * 2).min(IN_FLIGHT_PAUSE_MAX));
    }

    /// All of them have ended. The next claim sees what they left.
    pub(crate) fn none_in_flight(&mut self) {
        self.in_flight_pause = None;
    }

    /// Spawns do not notify any more: the runner has said so, or its connection is gone.
    pub(crate) fn woke(&mut self) {
        self.is_asleep = false;
        self.in_flight_pause = None;
    }

    /// The database could not be asked.
    pub(crate) fn failed(&mut self, now: Instant, pause: Duration) {
        self.claim_at = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_secs(1);
    const NOTHING: Found = Found { jobs: 0, more: false };

    fn plan() -> (Plan, Instant) {
        let now = Instant::now();
        (Plan::new(Limits { min: 4, max: 8 }, now), now)
    }

    #[test]
    fn it_claims_up_to_the_maximum_while_fewer_than_the_minimum_run() {
        let (plan, now) = plan();
        assert_eq!(plan.next(now, 0, 0), Step::Claim(8));
        assert_eq!(plan.next(now, 3, 0), Step::Claim(5));
        assert_eq!(plan.next(now, 4, 0), Step::WaitForSlot { below: 4 });
        assert_eq!(plan.next(now, 8, 0), Step::WaitForSlot { below: 4 });
    }

    #[test]
    fn short_jobs_are_claimed_before_there_is_a_place() {
        let (plan, now) = plan();
        assert_eq!(plan.next(now, 0, 20), Step::Claim(8 + 20));
        assert_eq!(plan.next(now, 13, 20), Step::Claim(8 + 20 - 13));
        assert_eq!(plan.next(now, 14, 20), Step::WaitForSlot { below: 4 + 10 });
    }

    #[test]
    fn it_is_not_announced_as_asleep_while_it_waits_for_a_place() {
        let (mut plan, now) = plan();
        plan.fell_asleep(now, false);
        // Asleep with as many as it would wait with, had they not been short just before.
        assert_eq!(plan.next(now, 5, 4), Step::Claim(8 + 4 - 5));
        plan.claimed(now, NOTHING, true, POLL);
        assert_eq!(plan.next(now, 5, 0), Step::Awaken);
        plan.woke();
        assert_eq!(plan.next(now, 5, 0), Step::WaitForSlot { below: 4 });
    }

    #[test]
    fn it_falls_asleep_at_once_when_nothing_came_lately() {
        let (mut plan, now) = plan();
        plan.claimed(now, NOTHING, true, POLL);
        assert_eq!(plan.next(now, 0, 0), Step::FallAsleep);
    }

    #[test]
    fn it_polls_where_nobody_listens() {
        let (mut plan, now) = plan();
        plan.claimed(now, NOTHING, false, POLL);
        assert_eq!(plan.next(now, 0, 0), Step::WaitUntil(now + POLL));
        plan.hinted(now);
        assert_eq!(plan.next(now, 0, 0), Step::Claim(8));
    }

    #[test]
    fn it_lingers_after_the_last_job() {
        let (mut plan, mut now) = plan();
        plan.claimed(now, Found { jobs: 1, more: false }, true, POLL);
        let last_job = now;
        let mut claims = 0;
        loop {
            match plan.next(now, 0, 0) {
                Step::WaitUntil(at) => now = at,
                Step::Claim(_) => {
                    claims += 1;
                    plan.claimed(now, NOTHING, true, POLL);
                }
                Step::FallAsleep => break,
                Step::WaitForSlot { .. } | Step::Awaken => unreachable!("there are slots"),
            }
        }
        assert!((5..=7).contains(&claims), "{claims} claims");
        assert!(now - last_job >= LINGER);
    }

    #[test]
    fn more_means_at_once() {
        let (mut plan, now) = plan();
        plan.claimed(now, Found { jobs: 1, more: true }, true, POLL);
        assert_eq!(plan.next(now, 1, 0), Step::Claim(7));
    }

    #[test]
    fn more_and_nothing_does_not_spin() {
        let (mut plan, now) = plan();
        for _ in 0..EMPTY_CLAIMS_AT_ONCE {
            assert_eq!(plan.next(now, 0, 0), Step::Claim(8));
            plan.claimed(now, Found { jobs: 0, more: true }, true, POLL);
        }
        assert_eq!(plan.next(now, 0, 0), Step::WaitUntil(now + LINGER_PAUSE));
    }

    #[test]
    fn asleep_it_claims_once_more_and_then_each_poll_interval() {
        let (mut plan, now) = plan();
        plan.fell_asleep(now, false);
        assert_eq!(plan.next(now, 0, 0), Step::Claim(8));
        plan.claimed(now, NOTHING, true, POLL);
        assert_eq!(plan.next(now, 0, 0), Step::WaitUntil(now + POLL));
    }

    #[test]
    fn spawns_in_flight_are_looked_after_with_growing_pauses() {
        let (mut plan, now) = plan();
        plan.fell_asleep(now, true);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            plan.claimed(now, NOTHING, true, POLL);
            let Step::WaitUntil(at) = plan.next(now, 0, 0) else {
                panic!("it waits")
            };
            pauses.push((at - now).as_millis());
            plan.still_in_flight();
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 200, 200]);
        plan.none_in_flight();
        plan.claimed(now, NOTHING, true, POLL);
        assert_eq!(plan.next(now, 0, 0), Step::WaitUntil(now + POLL));
    }
}
