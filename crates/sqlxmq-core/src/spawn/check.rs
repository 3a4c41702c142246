//! Decides whether a job can be stored. Pure; the schema's CHECKs hold the same bounds.

use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;

use super::new_job::{Json, NewJob};
use crate::config::{
    MAX_CHANNEL_ARGS_BYTES, MAX_CHANNEL_NAME_BYTES, MAX_DURATION, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES,
    MAX_RETRIES,
};
use crate::error::{InvalidJob, JobField};

/// What [`check`] has computed on its way: the numbers as SQL takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) retries: i32,
    pub(super) backoff_us: i64,
    pub(super) max_backoff_us: i64,
    pub(super) delay_us: i64,
    /// Microseconds since 1970: in place of the delay.
    pub(super) due_us: Option<i64>,
    pub(super) commit_interval_us: Option<i64>,
}

/// Checks every bound of a job.
///
/// # Errors
///
/// Returns the first thing that is wrong; sizes are checked before contents.
pub(super) fn check(job: &NewJob<'_>) -> Result<Numbers, InvalidJob> {
    if job.id.is_nil() {
        return Err(InvalidJob::NilId);
    }
    if job.name.is_empty() {
        return Err(InvalidJob::EmptyName);
    }
    check_text(JobField::Name, job.name, MAX_NAME_BYTES)?;
    check_text(JobField::ChannelName, job.channel_name, MAX_CHANNEL_NAME_BYTES)?;
    check_text(JobField::ChannelArgs, job.channel_args, MAX_CHANNEL_ARGS_BYTES)?;
    check_payload(job)?;
    Ok(Numbers {
        retries: check_retries(job.retries)?,
        backoff_us: micros(JobField::RetryBackoff, job.retry_backoff)?,
        max_backoff_us: micros(JobField::MaxBackoff, job.max_backoff)?,
        delay_us: micros(JobField::Delay, job.delay)?,
        due_us: match job.due {
            Some(time) => {
                micros(JobField::Delay, time.until_then())?;
                Some(time.unix_us)
            }
            None => None,
        },
        commit_interval_us: match job.commit_interval {
            Some(interval) => Some(micros(JobField::CommitInterval, interval)?),
            None => None,
        },
    })
}

fn check_text(field: JobField, text: &str, limit: usize) -> Result<(), InvalidJob> {
    if text.len() > limit {
        return Err(InvalidJob::TextTooLong {
            field,
            bytes: text.len(),
            limit,
        });
    }
    // PostgreSQL has no NUL in its texts: it would end the caller's transaction with an error.
    if text.contains('\0') {
        return Err(InvalidJob::Nul { field });
    }
    Ok(())
}

fn check_payload(job: &NewJob<'_>) -> Result<(), InvalidJob> {
    let limit = job.payload_limit;
    if limit > MAX_PAYLOAD_BYTES {
        return Err(InvalidJob::PayloadLimitTooLarge {
            limit,
            max: MAX_PAYLOAD_BYTES,
        });
    }
    let bytes = job.payload_bytes();
    if bytes > limit {
        return Err(InvalidJob::PayloadTooLarge { bytes, limit });
    }
    if let Some(Json::Refused(source)) = &job.json {
        return Err(InvalidJob::Encode {
            source: Arc::clone(source),
        });
    }
    if let Some(Json::Raw(text)) = job.json {
        // `IgnoredAny` walks the text with a stack on the heap: nesting of any depth is fine. It refuses NUL, which
        // JSON knows only as an escape.
        serde_json::from_str::<IgnoredAny>(text).map_err(|source| InvalidJob::Json { source })?;
    }
    Ok(())
}

fn check_retries(retries: u32) -> Result<i32, InvalidJob> {
    let too_many = InvalidJob::TooManyRetries {
        retries,
        limit: MAX_RETRIES,
    };
    match i32::try_from(retries) {
        Ok(number) if retries <= MAX_RETRIES => Ok(number),
        _ => Err(too_many),
    }
}

/// Returns the duration in microseconds, rounded up: a wait is never shorter than what was asked for.
fn micros(field: JobField, duration: Duration) -> Result<i64, InvalidJob> {
    let too_long = InvalidJob::DurationTooLong {
        field,
        duration,
        limit: MAX_DURATION,
    };
    if duration > MAX_DURATION {
        return Err(too_long);
    }
    let below_a_second = u64::from(duration.subsec_nanos().div_ceil(1000));
    i64::try_from(duration.as_secs() * 1_000_000 + below_a_second).map_err(|_| too_long)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::JobBuilder;

    fn checked(
        configure: impl for<'b> FnOnce(&'b mut JobBuilder<'static>) -> &'b mut JobBuilder<'static>,
    ) -> Result<Numbers, InvalidJob> {
        let mut builder = JobBuilder::new("mail");
        configure(&mut builder);
        check(builder.as_ref())
    }

    fn text(length: usize) -> &'static str {
        "x".repeat(length).leak()
    }

    #[test]
    fn defaults_are_those_of_sqlxmq_0_6_with_a_capped_backoff() {
        let numbers = checked(|job| job).unwrap();
        assert_eq!(
            numbers,
            Numbers {
                retries: 4,
                backoff_us: 1_000_000,
                max_backoff_us: 3_600_000_000,
                delay_us: 0,
                due_us: None,
                commit_interval_us: None,
            }
        );
    }

    #[test]
    fn odd_texts_within_the_bounds_are_accepted() {
        for odd in [
            "",
            "MiXeD",
            "it's \"quoted\"",
            "🦀 \u{202e}\u{feff}",
            "a,b{}\\",
            text(61),
            text(1024),
        ] {
            checked(|job| job.set_channel_name(odd)).unwrap();
        }
        for odd in ["", "🦀'\"", text(6_400), text(16_384)] {
            checked(|job| job.set_channel_args(odd)).unwrap();
        }
        for odd in ["x", "🦀'\"", text(1024)] {
            check(JobBuilder::new(odd).as_ref()).unwrap();
        }
    }

    #[test]
    fn texts_out_of_bounds_are_refused() {
        assert!(matches!(
            check(JobBuilder::new("").as_ref()),
            Err(InvalidJob::EmptyName)
        ));
        let too_long = [
            (
                check(JobBuilder::new(text(1_025)).as_ref()),
                JobField::Name,
                1_025,
            ),
            (
                checked(|job| job.set_channel_name(text(65_536))),
                JobField::ChannelName,
                65_536,
            ),
            (
                checked(|job| job.set_channel_name(text(1_025))),
                JobField::ChannelName,
                1_025,
            ),
            (
                checked(|job| job.set_channel_args(text(16_385))),
                JobField::ChannelArgs,
                16_385,
            ),
        ];
        for (outcome, expected_field, expected_bytes) in too_long {
            match outcome {
                Err(InvalidJob::TextTooLong { field, bytes, .. }) => {
                    assert_eq!((field, bytes), (expected_field, expected_bytes));
                }
                other => panic!("{expected_field} of {expected_bytes} bytes: {other:?}"),
            }
        }
        let with_nul = [
            (check(JobBuilder::new("a\0b").as_ref()), JobField::Name),
            (checked(|job| job.set_channel_name("\0")), JobField::ChannelName),
            (checked(|job| job.set_channel_args("a\0")), JobField::ChannelArgs),
        ];
        for (outcome, expected_field) in with_nul {
            assert!(
                matches!(outcome, Err(InvalidJob::Nul { field }) if field == expected_field),
                "{expected_field}: {outcome:?}"
            );
        }
    }

    #[test]
    fn a_nil_id_is_refused() {
        let builder = JobBuilder::new_with_id(Uuid::nil(), "mail");
        assert!(matches!(check(builder.as_ref()), Err(InvalidJob::NilId)));
    }

    #[test]
    fn retries_are_counted_up_to_a_million() {
        for retries in [0, 1, 1_000_000] {
            let numbers = checked(|job| job.set_retries(retries)).unwrap();
            assert_eq!(numbers.retries, retries.cast_signed());
        }
        for retries in [1_000_001, i32::MAX.unsigned_abs(), u32::MAX] {
            let outcome = checked(|job| job.set_retries(retries));
            assert!(
                matches!(outcome, Err(InvalidJob::TooManyRetries { .. })),
                "{retries}: {outcome:?}"
            );
        }
    }

    #[test]
    fn durations_are_rounded_up_to_microseconds() {
        let cases = [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_nanos(1_000), 1),
            (Duration::from_nanos(1_001), 2),
            (Duration::new(1, 999_999_999), 2_000_000),
            (MAX_DURATION, 36_000 * 24 * 3_600 * 1_000_000),
        ];
        for (duration, expected) in cases {
            let numbers = checked(|job| job.set_delay(duration)).unwrap();
            assert_eq!(numbers.delay_us, expected, "{duration:?}");
        }
    }

    #[test]
    fn durations_above_the_bound_are_refused() {
        for too_long in [
            MAX_DURATION + Duration::from_nanos(1),
            Duration::from_secs(6_000_000_000_000),
            Duration::MAX,
        ] {
            let outcomes = [
                (checked(|job| job.set_delay(too_long)), JobField::Delay),
                (
                    checked(|job| job.set_retry_backoff(too_long)),
                    JobField::RetryBackoff,
                ),
                (checked(|job| job.set_max_backoff(too_long)), JobField::MaxBackoff),
                (
                    checked(|job| job.set_commit_interval(Some(too_long))),
                    JobField::CommitInterval,
                ),
            ];
            for (outcome, expected_field) in outcomes {
                assert!(
                    matches!(outcome, Err(InvalidJob::DurationTooLong { field, .. }) if field == expected_field),
                    "{expected_field}: {outcome:?}"
                );
            }
        }
    }

    #[test]
    fn any_json_text_is_accepted() {
        let deep: &str = ("[".repeat(10_000) + &"]".repeat(10_000)).leak();
        let odd = [
            r#""\u0000""#,
            r#""\ud800""#,
            r#"{"a":1,"a":2}"#,
            "1e400",
            " [1 , 2]\n",
            "null",
            r#""""#,
            "-0",
            deep,
        ];
        for json in odd {
            checked(|job| job.set_raw_json(json)).unwrap();
        }
    }

    #[test]
    fn nesting_of_any_depth_is_checked_without_a_deep_stack() {
        let deep: &str = (r#"{"a":["#.repeat(250_000) + &"]}".repeat(250_000)).leak();
        std::thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || checked(|job| job.set_raw_json(deep).set_payload_limit(8 << 20)).unwrap())
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "'a'",
            "\"a\0b\"",
            "\0",
            "nul",
            "1 2",
            "\u{feff}1",
            r#""\x""#,
            "NaN",
        ] {
            let outcome = checked(|job| job.set_raw_json(text));
            assert!(
                matches!(outcome, Err(InvalidJob::Json { .. })),
                "{text:?}: {outcome:?}"
            );
        }
    }

    #[test]
    fn payloads_are_limited_json_and_bytes_together() {
        let json = text(100);
        let json: &str = format!("\"{}\"", &json[..98]).leak();
        let fits = checked(|job| {
            job.set_raw_json(json)
                .set_raw_bytes(&[7; 28])
                .set_payload_limit(128)
        });
        fits.unwrap();
        let outcome = checked(|job| {
            job.set_raw_json(json)
                .set_raw_bytes(&[7; 29])
                .set_payload_limit(128)
        });
        assert!(
            matches!(
                outcome,
                Err(InvalidJob::PayloadTooLarge {
                    bytes: 129,
                    limit: 128
                })
            ),
            "{outcome:?}"
        );

        let at_the_limit: &[u8] = vec![0; 1 << 20].leak();
        checked(|job| job.set_raw_bytes(at_the_limit)).unwrap();
        let one_over: &[u8] = vec![0; (1 << 20) + 1].leak();
        let outcome = checked(|job| job.set_raw_bytes(one_over));
        assert!(
            matches!(outcome, Err(InvalidJob::PayloadTooLarge { .. })),
            "{outcome:?}"
        );

        checked(|job| job.set_raw_bytes(&[]).set_payload_limit(0)).unwrap();
        let outcome = checked(|job| job.set_payload_limit(600 << 20));
        assert!(
            matches!(outcome, Err(InvalidJob::PayloadLimitTooLarge { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn the_last_value_of_a_setter_counts() {
        checked(|job| job.set_retries(u32::MAX).set_retries(1)).unwrap();
        checked(|job| job.set_raw_json("{").set_json(&1).unwrap()).unwrap();
    }
}
