//! A first argument that is not the job.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn context_first(_context: String, _job: CurrentJob) -> Outcome {
    Ok(())
}

#[job]
async fn two_jobs(_job: CurrentJob, _other: CurrentJob) -> Outcome {
    Ok(())
}

#[job]
async fn only_context(_context: String) -> Outcome {
    Ok(())
}

fn main() {}
