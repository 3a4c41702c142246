//! A payload that is borrowed, or borrows from the job.

use sqlxmq::{Bytes, Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn by_reference(_email: &Json<String>) -> Outcome {
    Ok(())
}

#[job]
async fn by_mutable_reference(_image: &mut Bytes) -> Outcome {
    Ok(())
}

#[job]
async fn borrows(Json(_email): Json<&str>) -> Outcome {
    Ok(())
}

#[job]
async fn may_borrow(Json(_email): Json<std::borrow::Cow<'_, str>>) -> Outcome {
    Ok(())
}

fn main() {}
