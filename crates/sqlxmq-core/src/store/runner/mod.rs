//! Typed wrappers of the runner's functions: one async fn per SQL function, no decisions.

mod claim;
mod lease;
mod outcome;
mod server;
mod sleep;
mod texts;
mod upkeep;

use std::time::Duration;

pub(crate) use claim::{Claim, Claimed, Payload, claim, payloads, present};
pub(crate) use lease::{audit, register, renew, unregister};
pub(crate) use outcome::{
    Completed, CompletedAndClaimed, FailAs, Locked, NewCheckpoint, NextInLine, checkpoint, complete,
    complete_and_claim, fail, fail_as, keep_alive, release, wait_briefly,
};
pub(crate) use server::{is_standby, keys, schema_is_there, timeline, xact_status};
pub(crate) use sleep::{awaken, in_flight, sleep};
pub(crate) use upkeep::{RunnerSeen, promote, reap, reap_jobs, refresh_counts, runners_seen};

/// Microseconds, rounded up, as every duration travels.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_up_to_microseconds_and_saturate() {
        assert_eq!(micros(Duration::ZERO), 0);
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_nanos(1000)), 1);
        assert_eq!(micros(Duration::from_nanos(1001)), 2);
        assert_eq!(micros(Duration::MAX), i64::MAX);
    }
}
