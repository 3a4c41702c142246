//! How long an ordered channel goes on, one job behind the other, before it waits for its turn again. Pure: no clock.

use std::time::{Duration, Instant};

/// As many as a run has, which unordered jobs of a flow are served in: so long is a flow's turn.
const JOBS_AT_MOST: u32 = 16;

/// Where jobs take long a turn costs little, and others wait for the place. Long enough for short jobs of many channels, which wait for
/// each other's completions.
const TIME_AT_MOST: Duration = Duration::from_secs(1);

/// Which of how many: a job that was claimed in its channel's turn is the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InARow {
    nth: u32,
    first_claimed: Instant,
}

impl InARow {
    pub(crate) fn first(now: Instant) -> Self {
        Self {
            nth: 1,
            first_claimed: now,
        }
    }

    pub(crate) fn next(self) -> Self {
        Self {
            nth: self.nth + 1,
            ..self
        }
    }

    /// Whether the channel may go on when this job has ended.
    pub(crate) fn may_go_on(self, now: Instant) -> bool {
        self.nth < JOBS_AT_MOST && now.saturating_duration_since(self.first_claimed) < TIME_AT_MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_goes_on_for_as_many_jobs_as_a_run_has() {
        let now = Instant::now();
        let mut job = InARow::first(now);
        let mut jobs = 1;
        while job.may_go_on(now) {
            job = job.next();
            jobs += 1;
        }
        assert_eq!(jobs, 16);
    }

    #[test]
    fn a_channel_of_long_jobs_waits_for_its_turn() {
        let now = Instant::now();
        let job = InARow::first(now);
        assert!(job.may_go_on(now + Duration::from_millis(999)));
        assert!(!job.next().may_go_on(now + Duration::from_secs(1)));
    }
}
