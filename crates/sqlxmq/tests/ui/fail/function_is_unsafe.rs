//! An unsafe function.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async unsafe fn my_job(_job: CurrentJob) -> Outcome {
    Ok(())
}

fn main() {}
