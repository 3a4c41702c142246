//! A job taken by reference.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn my_job(_job: &mut CurrentJob) -> Outcome {
    Ok(())
}

fn main() {}
