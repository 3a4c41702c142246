//! Backoffs that are no waits.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(backoff_secs = -1.0)]
async fn negative(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff_secs = 1e300)]
async fn absurd(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff_secs = f64::NAN)]
async fn not_a_number(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(backoff_secs = 3_110_400_001)]
async fn more_than_a_century(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

fn main() {}
