//! A key given twice.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(retries = 3, ordered, retries = 4, ordered = false)]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

fn main() {}
