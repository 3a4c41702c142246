//! Types of other crates that have the names of the payload.

use sqlxmq::job;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

mod web {
    pub struct Json<T>(pub T);
}

#[job]
async fn json(web::Json(_email): web::Json<String>) -> Outcome {
    Ok(())
}

mod bytes {
    #[derive(Clone)]
    pub struct Bytes;
}

#[job]
async fn image(_image: bytes::Bytes) -> Outcome {
    Ok(())
}

fn main() {}
