//! A generic function.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn by_parameter<T: Send>(_job: CurrentJob) -> Outcome {
    Ok(())
}

#[job]
async fn by_argument(_job: CurrentJob, _context: impl Clone + Send + Sync + 'static) -> Outcome {
    Ok(())
}

fn main() {}
