//! The payload by another name: `#[job]` can't know it.

use sqlxmq::{Json as Payload, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn send(Payload(_email): Payload<String>) -> Outcome {
    Ok(())
}

type Letter = sqlxmq::Json<String>;

#[job]
async fn post(_letter: Letter) -> Outcome {
    Ok(())
}

fn main() {}
