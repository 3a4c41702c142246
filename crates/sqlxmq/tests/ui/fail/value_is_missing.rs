//! Keys without the value that they need.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(name, channel_name =, retries(3), backoff_secs, delay(1), upgrade, version, ordered =, proto, crate)]
async fn my_job(mut job: CurrentJob) -> Outcome {
    job.complete().await?;
    Ok(())
}

fn main() {}
