//! Decides whether a job can be stored. Pure; the schema's CHECKs hold the same bounds.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::new_job::{Json, NewJob};
use crate::config::{
    MAX_CHANNEL_ARGS_BYTES, MAX_CHANNEL_NAME_BYTES, MAX_DURATION, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES,
    MAX_RETRIES,
};
use crate::error::{InvalidJob, JobField};

/// What [`check`] has computed on its way: the numbers as SQL takes them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) retries: i32,
    pub(super) backoff_us: i64,
    pub(super) max_backoff_us: i64,
    pub(super) delay_us: i64,
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
    i64::try_from(duration.as_nanos().div_ceil(1000)).map_err(|_| too_long)
}
