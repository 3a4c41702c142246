//! Results that a runner can't make anything of.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn number(_job: CurrentJob) -> u32 {
    3
}

#[job]
async fn value(_job: CurrentJob) -> Result<u32, std::io::Error> {
    Ok(3)
}

struct NoError;

#[job]
async fn no_error(_job: CurrentJob) -> Result<(), NoError> {
    Ok(())
}

#[job]
async fn error_of_one_thread(_job: CurrentJob) -> Result<(), Box<dyn std::error::Error>> {
    Ok(())
}

fn main() {}
