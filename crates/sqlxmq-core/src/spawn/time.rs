//! When a job is due, as the time of any of the usual crates.

use std::time::{Duration, SystemTime};

/// A point in time: what [`JobBuilder::spawn_at`](crate::JobBuilder::spawn_at) takes.
///
/// Made from a `std::time::SystemTime` or a `chrono::DateTime`; with the features `jiff` and `time`, from a `jiff::Timestamp`, a
/// `jiff::Zoned` and a `time::OffsetDateTime`. It counts in microseconds; a part of one is rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpawnTime {
    /// Microseconds since 1970 (UTC).
    pub(super) unix_us: i64,
}

impl SpawnTime {
    fn of_nanoseconds(nanoseconds: i128) -> Self {
        let unix_us = -(-nanoseconds).div_euclid(1000);
        Self {
            unix_us: i64::try_from(unix_us).unwrap_or(if unix_us < 0 { i64::MIN } else { i64::MAX }),
        }
    }

    /// How far it is from now by the process's clock. Only good enough for a bound.
    pub(super) fn until_then(self) -> Duration {
        let now = Self::from(SystemTime::now()).unix_us;
        Duration::from_micros(self.unix_us.saturating_sub(now).max(0).unsigned_abs())
    }
}

impl From<SystemTime> for SpawnTime {
    fn from(time: SystemTime) -> Self {
        let nanoseconds = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        Self::of_nanoseconds(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanoseconds(after),
            Err(before) => -nanoseconds(before.duration()),
        })
    }
}

impl<Z: chrono::TimeZone> From<chrono::DateTime<Z>> for SpawnTime {
    fn from(time: chrono::DateTime<Z>) -> Self {
        let seconds = i128::from(time.timestamp()) * 1_000_000_000;
        Self::of_nanoseconds(seconds + i128::from(time.timestamp_subsec_nanos()))
    }
}

#[cfg(feature = "jiff")]
impl From<jiff::Timestamp> for SpawnTime {
    fn from(time: jiff::Timestamp) -> Self {
        Self::of_nanoseconds(time.as_nanosecond())
    }
}

#[cfg(feature = "jiff")]
impl From<&jiff::Zoned> for SpawnTime {
    fn from(time: &jiff::Zoned) -> Self {
        time.timestamp().into()
    }
}

#[cfg(feature = "jiff")]
impl From<jiff::Zoned> for SpawnTime {
    fn from(time: jiff::Zoned) -> Self {
        time.timestamp().into()
    }
}

#[cfg(feature = "time")]
impl From<time::OffsetDateTime> for SpawnTime {
    fn from(time: time::OffsetDateTime) -> Self {
        Self::of_nanoseconds(time.unix_timestamp_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_microsecond_are_rounded_up_on_both_sides_of_1970() {
        for (nanoseconds, microseconds) in [
            (0, 0),
            (1, 1),
            (1000, 1),
            (1001, 2),
            (-1, 0),
            (-1000, -1),
            (-1999, -1),
        ] {
            assert_eq!(SpawnTime::of_nanoseconds(nanoseconds).unix_us, microseconds);
        }
        assert_eq!(SpawnTime::of_nanoseconds(i128::MAX).unix_us, i64::MAX);
    }

    #[test]
    fn every_crates_times_are_the_same() {
        let expected = SpawnTime {
            unix_us: 1_700_000_000_000_001,
        };
        let std = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001);
        assert_eq!(SpawnTime::from(std), expected);
        assert_eq!(
            SpawnTime::from(chrono::DateTime::<chrono::Utc>::from(std)),
            expected
        );
        #[cfg(feature = "jiff")]
        assert_eq!(
            SpawnTime::from(jiff::Timestamp::from_microsecond(expected.unix_us).unwrap()),
            expected
        );
        #[cfg(feature = "time")]
        assert_eq!(SpawnTime::from(time::OffsetDateTime::from(std)), expected);
    }
}
