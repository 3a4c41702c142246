//! A mistake in an argument leaves the static usable; no error follows from it.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(retrys = 3)]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

async fn spawns() {
    let _ = my_job.builder();
    let _ = my_job.name();
}

fn main() {}
