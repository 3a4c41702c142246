//! A payload that JSON can't be made of, or that can't be made of JSON.

use sqlxmq::{Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

struct Email;

#[job]
async fn send(Json(_email): Json<Email>) -> Outcome {
    Ok(())
}

#[derive(serde::Deserialize)]
struct OneWay;

#[job]
async fn receive(Json(_payload): Json<OneWay>) -> Outcome {
    Ok(())
}

fn spawns() {
    let _ = receive.builder(&OneWay);
}

fn main() {}
