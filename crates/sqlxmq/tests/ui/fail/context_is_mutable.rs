//! Context borrowed mutably.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn my_job(_job: CurrentJob, _context: &mut String) -> Outcome {
    Ok(())
}

fn main() {}
