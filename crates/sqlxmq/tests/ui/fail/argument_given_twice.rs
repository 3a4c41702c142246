//! Arguments that there is one of.

use sqlxmq::{Bytes, CurrentJob, Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn jobs(_job: CurrentJob, _other: &mut CurrentJob) -> Outcome {
    Ok(())
}

#[job]
async fn payloads(_email: Json<String>, _number: Json<u32>) -> Outcome {
    Ok(())
}

#[job]
async fn images(_image: Bytes, _other: Bytes) -> Outcome {
    Ok(())
}

fn main() {}
