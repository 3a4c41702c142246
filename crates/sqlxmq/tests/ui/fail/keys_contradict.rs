//! Keys that make no sense together.

use sqlxmq::{CurrentJob, Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job(backoff = fixed, max_backoff = "1h")]
async fn fixed(_job: CurrentJob) -> Outcome {
    Ok(())
}

#[job(delay = "1s", delay_secs = 1, backoff = linear, backoff = fixed)]
async fn twice(_job: CurrentJob) -> Outcome {
    Ok(())
}

#[job(version = 2)]
async fn untyped(_job: CurrentJob) -> Outcome {
    Ok(())
}

fn same(text: String) -> String {
    text
}

#[job(upgrade = same)]
async fn no_version(_text: Json<String>) -> Outcome {
    Ok(())
}

#[job(version = 2, upgrade(same, same))]
async fn too_many(_text: Json<String>) -> Outcome {
    Ok(())
}

#[job(version = 0, upgrade = 7)]
async fn no_numbers(_text: Json<String>) -> Outcome {
    Ok(())
}

fn main() {}
