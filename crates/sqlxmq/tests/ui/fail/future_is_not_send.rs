//! A job that keeps a value of one thread across an await.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn my_job(mut job: CurrentJob) -> Outcome {
    let shared = std::rc::Rc::new(1);
    job.complete().await?;
    println!("{shared}");
    Ok(())
}

fn main() {}
