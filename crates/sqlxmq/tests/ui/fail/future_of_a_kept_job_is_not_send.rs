//! A future that is not `Send` in a job that its runner keeps is one error, too.

use sqlxmq::{CurrentJob, Json, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
async fn my_job(job: &mut CurrentJob, Json(number): Json<u32>) -> Outcome {
    let shared = std::rc::Rc::new(number);
    job.complete().await?;
    println!("{shared}");
    Ok(())
}

fn main() {}
