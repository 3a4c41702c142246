//! Values that are no literals of the type that their key takes.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const NAME: &str = "a";

#[job(name = NAME, channel_name = 1, retries = "3", backoff_secs = "soon", delay = 5, timeout = "1 hour", backoff = steady, ordered = 1, crate = sqlxmq)]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

#[job(backoff = "exponential", max_backoff = "far")]
async fn another() {}

fn main() {}
