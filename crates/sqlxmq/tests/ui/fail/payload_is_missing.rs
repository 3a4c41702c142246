//! A builder without the payload that the function takes.

use sqlxmq::{Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[derive(serde::Serialize, serde::Deserialize)]
struct Email {
    to: String,
}

#[job]
async fn send(Json(_email): Json<Email>) -> Outcome {
    Ok(())
}

fn spawns() {
    let _ = send.builder();
}

fn main() {}
