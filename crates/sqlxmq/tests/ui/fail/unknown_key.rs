//! A key that does not exist.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(retry = 3)]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

fn main() {}
