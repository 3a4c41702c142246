//! A name given as a literal and by its key.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job("a", name = "b")]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

fn main() {}
