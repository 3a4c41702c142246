//! Functions that do not upgrade to the payload.

use sqlxmq::{Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn from_v1(text: String) -> u32 {
    text.len() as u32
}

#[job(version = 2, upgrade = from_v1)]
async fn other_target(_text: Json<Vec<String>>) -> Outcome {
    Ok(())
}

fn from_nothing() -> String {
    String::new()
}

#[job(version = 2, upgrade = from_nothing)]
async fn no_argument(_text: Json<String>) -> Outcome {
    Ok(())
}

fn main() {}
