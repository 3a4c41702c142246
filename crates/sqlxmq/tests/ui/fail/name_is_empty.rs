//! An empty name, and one with NUL.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job("")]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

#[job(name = "a\0b")]
async fn my_other_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

fn main() {}
