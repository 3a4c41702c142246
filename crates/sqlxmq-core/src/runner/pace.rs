//! How many jobs are worth claiming ahead of the places they will run in. Pure: no clock.
//!
//! Short jobs would wait for a claim each time a few of them have ended. So a runner claims what it is about to need, judged by what
//! it got done just now: nothing ahead where jobs take long, since another runner may have a place for them.

use std::time::{Duration, Instant};

/// What is claimed ahead is started within about this long: a claim and the flush beside it take as long on a busy server.
const AHEAD: Duration = Duration::from_millis(8);

/// Judged over at least this long: some flushes, of which one may be slow.
const WINDOW: Duration = Duration::from_millis(16);

/// About what one claim brings.
const AHEAD_AT_MOST: usize = 500;

/// When something had to be given back, nothing is claimed ahead for so long. It doubles: jobs that were claimed together and take as
/// long as each other end together, and look like short ones each time.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// After so long without it the pause is short again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    ended_before: u64,
    ahead: usize,
    given_back_before: u64,
    pause: Duration,
    /// Nothing is claimed ahead before.
    not_before: Instant,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            ended_before: 0,
            ahead: 0,
            given_back_before: 0,
            pause: Duration::ZERO,
            not_before: now,
        }
    }

    /// `ended`: how many jobs have ended since the runner's start; `given_back`: how often some waited in vain. Returns how many more to
    /// have than can run.
    pub(crate) fn ahead(&mut self, now: Instant, ended: u64, given_back: u64) -> usize {
        if given_back != self.given_back_before {
            self.given_back_before = given_back;
            if now.saturating_duration_since(self.not_before) >= FORGIVEN_AFTER {
                self.pause = Duration::ZERO;
            }
            self.pause = (self.pause * 2).clamp(PAUSE, PAUSE_MAX);
            self.not_before = now + self.pause;
        }
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let jobs = ended.saturating_sub(self.ended_before) as f64;
            let ahead = jobs * AHEAD.as_secs_f64() / elapsed.as_secs_f64();
            self.ahead = (ahead as usize).min(AHEAD_AT_MOST);
            self.since = now;
            self.ended_before = ended;
        }
        if now < self.not_before { 0 } else { self.ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_claimed_ahead_of_long_jobs() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.ahead(start + Duration::from_secs(10), 20, 0), 0);
    }

    #[test]
    fn short_jobs_are_claimed_ahead_by_what_ended_just_now() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let now = start + Duration::from_millis(20);
        assert_eq!(pace.ahead(now, 200, 0), 80);
        let now = now + Duration::from_millis(2);
        assert_eq!(pace.ahead(now, 200, 0), 80, "too short a while to judge by");
        let now = now + Duration::from_millis(18);
        assert_eq!(pace.ahead(now, 220, 0), 8);
    }

    #[test]
    fn when_jobs_stop_ending_nothing_is_claimed_ahead() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(pace.ahead(start + Duration::from_millis(20), 1_000, 0) > 0);
        assert_eq!(pace.ahead(start + Duration::from_millis(120), 1_000, 0), 0);
    }

    #[test]
    fn it_is_no_more_than_a_claim_brings() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let now = start + Duration::from_millis(20);
        assert_eq!(pace.ahead(now, 1_000_000, 0), AHEAD_AT_MOST);
    }

    #[test]
    fn after_jobs_waited_in_vain_nothing_is_claimed_ahead_for_longer_and_longer() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut ended = 0;
        let mut after = |pace: &mut Pace, time: Duration, given_back| {
            now += time;
            ended += 10_000;
            pace.ahead(now, ended, given_back)
        };
        let moment = Duration::from_millis(20);
        assert!(after(&mut pace, moment, 0) > 0);
        for (times, pause) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10)] {
            assert_eq!(after(&mut pace, moment, times), 0);
            assert_eq!(after(&mut pace, Duration::from_secs(pause) - moment, times), 0);
            assert!(after(&mut pace, moment, times) > 0);
        }
        assert!(after(&mut pace, Duration::from_secs(60), 6) > 0);
        assert_eq!(after(&mut pace, moment, 7), 0);
        assert!(after(&mut pace, Duration::from_secs(1), 7) > 0, "forgiven");
    }
}
