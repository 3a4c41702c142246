//! A function that neither is async nor returns a future.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
fn result(_job: CurrentJob) -> Outcome {
    Ok(())
}

#[job]
fn nothing(_job: CurrentJob) {}

#[job]
fn number(_job: CurrentJob) -> u32 {
    3
}

fn main() {}
