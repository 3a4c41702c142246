//! A payload that is not of the type that the function takes.

use sqlxmq::{Bytes, Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[derive(serde::Serialize, serde::Deserialize)]
struct Email {
    to: String,
}

#[job]
async fn send(Json(_email): Json<Email>) -> Outcome {
    Ok(())
}

#[job]
async fn resize(Json(_size): Json<u32>, Bytes(_image): Bytes) -> Outcome {
    Ok(())
}

fn spawns() {
    let _ = send.builder("pip@example.com");
    let _ = resize.builder(b"image", &3);
}

fn main() {}
