//! Several mistakes in one job are reported in one go.

use sqlxmq::{Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(retry = 3, backoff_secs = -2, ordered = 1)]
fn my_job<T>(_text: &mut Json<String>) -> Outcome {
    Ok(())
}

fn main() {}
