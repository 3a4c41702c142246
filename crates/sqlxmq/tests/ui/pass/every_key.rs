//! Every key, and all of them at once.

#![deny(warnings, missing_docs)]
#![forbid(unsafe_code)]

use sqlxmq::{CurrentJob, JobBuilder, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn defaults<'a, 'b>(builder: &'a mut JobBuilder<'b>) -> &'a mut JobBuilder<'b> {
    builder.set_channel_name("bar")
}

fn static_defaults<'a>(builder: &'a mut JobBuilder<'static>) -> &'a mut JobBuilder<'static> {
    builder
}

macro_rules! handed_on {
    ($name:ident, $text:expr, $retries:literal, $proto:path) => {
        #[job($text, retries = $retries, proto($proto))]
        async fn $name(mut job: CurrentJob) -> Outcome {
            Ok(job.complete().await?)
        }
    };
}

#[job("positional")]
async fn positional(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(name = "keyed")]
async fn keyed(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(channel_name = "")]
async fn channel_name(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(retries = 1_000_000)]
async fn retries(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(retries = 0u32, backoff_secs = 0)]
async fn backoff_of_nothing(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff_secs = 1.5)]
async fn backoff_with_a_fraction(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff = "1m 30s", max_backoff = "1.5h", delay_secs = "1s", timeout = "1d")]
async fn durations(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff = fixed)]
async fn fixed(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff = exponential, lease_secs = 5, commit_interval = "10m")]
async fn exponential(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(ordered)]
async fn ordered(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(ordered = false)]
async fn unordered(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(proto(static_defaults))]
async fn proto(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(
    "all",
    channel_name = "mail",
    retries = 3,
    backoff_secs = 2,
    ordered = true,
    channel_args = "7",
    backoff = linear,
    max_backoff_secs = 60,
    delay = "1h 30m",
    commit_interval_secs = 0.5,
    lease = "2m",
    timeout_secs = 90,
    proto(crate::defaults),
    crate = "::sqlxmq",
)]
async fn all(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

handed_on!(by_macro, "by macro", 7, defaults);

fn main() {
    assert_eq!(positional.name(), "positional");
    assert_eq!(keyed.name(), "keyed");
    assert_eq!(by_macro.name(), "by macro");
    assert!(ordered.name().ends_with("::ordered"));
}
