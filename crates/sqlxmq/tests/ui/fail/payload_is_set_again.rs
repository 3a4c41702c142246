//! A typed builder has its payload: another one can't take its place.

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

fn spawns(email: &Email) {
    let _ = send.builder(email).set_retries(3).set_raw_json("5");
}

fn main() {}
