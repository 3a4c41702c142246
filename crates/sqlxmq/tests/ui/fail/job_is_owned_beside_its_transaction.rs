//! A function that would complete its job, with a transaction that completes it.

use sqlxmq::{BoxError, CurrentJob, JobTx, job};

#[job]
async fn my_job(mut job: CurrentJob, tx: &mut JobTx) -> Result<(), BoxError> {
    sqlx::query("update accounts set balance = 0").execute(&mut **tx).await?;
    Ok(job.complete().await?)
}

fn main() {}
