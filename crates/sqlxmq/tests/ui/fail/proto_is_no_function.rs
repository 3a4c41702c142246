//! A `proto` that is no path, and one of another signature.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn other_signature(retries: u32) -> u32 {
    retries
}

#[job(proto("defaults"))]
async fn text(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(proto())]
async fn nothing(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

#[job(proto(other_signature))]
async fn signature(mut job: CurrentJob) -> Outcome {
    Ok(job.complete().await?)
}

fn main() {}
