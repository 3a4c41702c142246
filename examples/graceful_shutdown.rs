//! Stops on SIGTERM without losing anything: running jobs are waited for, one that does not end within the grace is
//! told and given back, and what was not started stays in the queue for the next runner.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use sqlxmq::{CurrentJob, exists, job, registry};
use tokio::sync::Semaphore;

mod support;

/// One permit for each job that has started.
#[derive(Clone)]
struct Started(Arc<Semaphore>);

#[job]
async fn quick(mut current_job: CurrentJob, started: Started) -> anyhow::Result<()> {
    started.0.add_permits(1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    current_job.complete().await?;
    Ok(())
}

#[job]
async fn endless(current_job: CurrentJob, started: Started) -> anyhow::Result<()> {
    started.0.add_permits(1);
    current_job.cancelled().cancelled().await;
    Ok(())
}

async fn tell_myself_to_stop() -> anyhow::Result<()> {
    let told = Command::new("kill")
        .args(["-TERM", &std::process::id().to_string()])
        .status()?;
    ensure!(told.success(), "`kill` is of no use here");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    let quick_one = quick.builder().spawn(pool).await?;
    let endless_one = endless.builder().spawn(pool).await?;

    let started = Started(Arc::new(Semaphore::new(0)));
    let mut registry = registry();
    registry.set_context(started.clone());
    let runner = registry
        .runner(pool)
        .set_concurrency(1, 2)
        .set_grace(Duration::from_secs(2))
        .run()
        .await?;
    started.0.acquire_many(2).await?.forget();
    let not_started = quick.builder().spawn(pool).await?;
    println!("two jobs run, one waits");

    // Ctrl-C, or the SIGTERM of a service manager; here the program sends it to itself.
    let (unfinished, told) = tokio::join!(runner.shutdown_on_signal(), tell_myself_to_stop());
    let (unfinished, ()) = (unfinished?, told?);

    println!("not finished within the grace: {unfinished}");
    println!("the quick job is still there: {}", exists(pool, quick_one).await?);
    println!(
        "the endless job is still there: {}",
        exists(pool, endless_one).await?
    );
    println!(
        "the waiting job is still there: {}",
        exists(pool, not_started).await?
    );
    sqlxmq::cancel(pool, &[endless_one, not_started]).await?;
    Ok(())
}
