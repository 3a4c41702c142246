//! A function without its job.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn my_job() -> Outcome {
    Ok(())
}

fn main() {}
