//! How long to wait before the next try to reconnect. Pure: the random part is handed in.

use std::time::Duration;

/// Short enough that one dropped connection costs next to nothing.
const FIRST: Duration = Duration::from_millis(100);

/// Long enough not to hammer a database that restarts, short enough that nobody waits for us afterwards.
const LONGEST: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure: doubles each time up to five seconds, and `random` (any number) spreads it over the
    /// upper half, so that runners that lost the same database do not come back at the same moment.
    pub(crate) fn failed(&mut self, random: u64) -> Duration {
        let doubled = FIRST
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        jittered(doubled, random)
    }

    /// Starts again from the shortest pause.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Between half of `duration` and all of it.
fn jittered(duration: Duration, random: u64) -> Duration {
    let half = duration / 2;
    half + half.mul_f64((random % 1024) as f64 / 1023.0)
}

/// `duration` give or take a tenth, so that many runners do not poll in step.
pub(crate) fn give_or_take_a_tenth(duration: Duration, random: u64) -> Duration {
    duration.mul_f64(0.9 + 0.2 * (random % 1024) as f64 / 1023.0)
}

/// A number that differs from call to call. Not for secrets.
pub(crate) fn random() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pause_doubles_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9).map(|_| backoff.failed(1023).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }

    #[test]
    fn success_starts_again_from_the_shortest_pause() {
        let mut backoff = Backoff::default();
        backoff.failed(0);
        backoff.failed(0);
        backoff.succeeded();
        assert_eq!(backoff.failed(1023), FIRST);
    }

    proptest! {
        #[test]
        fn no_number_of_failures_leaves_the_bounds(failures in any::<u32>(), random in any::<u64>()) {
            let pause = Backoff { failures }.failed(random);
            prop_assert!(pause >= FIRST / 2 && pause <= LONGEST);
        }

        #[test]
        fn a_tenth_is_a_tenth(millis in 1_u64..100_000, random in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            let changed = give_or_take_a_tenth(duration, random);
            prop_assert!(changed >= duration.mul_f64(0.899) && changed <= duration.mul_f64(1.101));
        }
    }
}
