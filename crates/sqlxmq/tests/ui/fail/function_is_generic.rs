//! A generic function.

use sqlxmq::{CurrentJob, Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn by_parameter<T: Send>(_job: CurrentJob) -> Outcome {
    Ok(())
}

#[job]
async fn by_argument(_job: CurrentJob, _context: impl Clone + Send + Sync + 'static) -> Outcome {
    Ok(())
}

#[job]
async fn with_a_payload<T: Send>(Json(_payload): Json<u32>, _context: T) -> Outcome {
    Ok(())
}

#[job]
async fn by_its_payload<T: Send>(Json(_payload): Json<Vec<T>>) -> Outcome {
    Ok(())
}

fn main() {
    // Its builder is that of the payload: one mistake is one error.
    let _ = with_a_payload.builder(&7);
}
