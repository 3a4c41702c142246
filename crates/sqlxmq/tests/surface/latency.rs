//! How long it takes from the return of `spawn` to the start of the job in a system that has nothing else to do,
//! written so that it measures 0.6.0 and this version alike.

use std::error::Error;
use std::time::{Duration, Instant};

use sqlx::{Pool, Postgres};
use sqlxmq::{JobBuilder, JobRunnerOptions};
use tokio::sync::mpsc;

/// Long enough for a runner to fall asleep after a job.
const PAUSE: Duration = Duration::from_millis(150);

/// Spawns `jobs` jobs, one after the other has been completed, and returns how long after the spawn each one started.
pub async fn measure(
    pool: &Pool<Postgres>,
    jobs: usize,
) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let (started, mut starts) = mpsc::unbounded_channel();
    let mut runner = JobRunnerOptions::new(pool, move |mut job| {
        let started = started.clone();
        let start = Instant::now();
        tokio::spawn(async move {
            let outcome = job.complete().await;
            let _ = started.send(outcome.map(|()| start));
        });
    })
    .run()
    .await?;
    let mut latencies = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        tokio::time::sleep(PAUSE).await;
        JobBuilder::new("latency").spawn(pool).await?;
        let spawned = Instant::now();
        let start = starts.recv().await.ok_or("the runner has ended")??;
        // It may well start before the answer of the spawn has been read.
        latencies.push(start.saturating_duration_since(spawned));
    }
    runner.stop().await;
    Ok(latencies)
}
