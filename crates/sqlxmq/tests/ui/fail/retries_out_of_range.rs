//! Retries that are negative, too many or no whole number.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(retries = -1)]
async fn negative(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(retries = 1_000_001)]
async fn too_many(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(retries = 99999999999999999999)]
async fn far_too_many(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(retries = 1.5)]
async fn and_a_half(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

fn main() {}
