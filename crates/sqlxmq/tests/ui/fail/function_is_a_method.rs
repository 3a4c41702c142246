//! A method.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

struct Mailer;

impl Mailer {
    #[job]
    async fn send(&self, mut job: CurrentJob) -> Outcome {
        Ok(job.complete().await?)
    }
}

fn main() {}
