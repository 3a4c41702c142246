//! How many jobs are worth claiming ahead of the places they will run in. Pure: no clock.
//!
//! Short jobs would wait for a claim each time a few of them have ended. So a runner claims what it is about to need, judged by what
//! it got done just now: nothing ahead where jobs take long, since another runner may have a place for them.

use std::time::{Duration, Instant};

/// What is claimed ahead is started within about this long: a claim and the flush beside it take as long on a busy server.
const AHEAD: Duration = Duration::from_millis(8);

/// Judged over at least this long: some flushes, of which one may be slow.
const WINDOW: Duration = Duration::from_millis(16);

/// No more than one claim brings.
const AHEAD_AT_MOST: usize = 500;

#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    ended_before: u64,
    ahead: usize,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            ended_before: 0,
            ahead: 0,
        }
    }

    /// `ended`: how many jobs have ended since the runner's start. Returns how many more to have than can run.
    pub(crate) fn ahead(&mut self, now: Instant, ended: u64) -> usize {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let jobs = ended.saturating_sub(self.ended_before) as f64;
            let ahead = jobs * AHEAD.as_secs_f64() / elapsed.as_secs_f64();
            self.ahead = (ahead as usize).min(AHEAD_AT_MOST);
            self.since = now;
            self.ended_before = ended;
        }
        self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_claimed_ahead_of_long_jobs() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.ahead(start + Duration::from_secs(10), 20), 0);
    }

    #[test]
    fn short_jobs_are_claimed_ahead_by_what_ended_just_now() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let now = start + Duration::from_millis(20);
        assert_eq!(pace.ahead(now, 200), 80);
        let now = now + Duration::from_millis(2);
        assert_eq!(pace.ahead(now, 200), 80, "too short a while to judge by");
        let now = now + Duration::from_millis(18);
        assert_eq!(pace.ahead(now, 220), 8);
    }

    #[test]
    fn when_jobs_stop_ending_nothing_is_claimed_ahead() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(pace.ahead(start + Duration::from_millis(20), 1_000) > 0);
        assert_eq!(pace.ahead(start + Duration::from_millis(120), 1_000), 0);
    }

    #[test]
    fn it_is_no_more_than_a_claim_brings() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let now = start + Duration::from_millis(20);
        assert_eq!(pace.ahead(now, 1_000_000), AHEAD_AT_MOST);
    }
}
