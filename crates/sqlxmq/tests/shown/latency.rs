//! How soon a job starts in an idle system.

use std::time::{Duration, Instant};

use devpg::eventually;
use sqlxmq::{CurrentJob, JobRegistry, job};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{alone, number, queue};

const JOBS: usize = 200;

#[job(name = "shown.look_at_the_clock")]
async fn look_at_the_clock(mut job: CurrentJob, starts: UnboundedSender<Instant>) -> anyhow::Result<()> {
    starts.send(Instant::now())?;
    job.complete().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_spawned_into_an_idle_system_starts_within_ten_milliseconds() {
    let _alone = alone().await;
    let db = queue().await;
    let pool = db.pool();
    let (starts, mut started) = unbounded_channel::<Instant>();
    let mut registry = JobRegistry::new(&[look_at_the_clock]);
    registry.set_context(starts);
    // With defaults, but nothing here is due to polling.
    let mut runner = registry
        .runner(pool)
        .set_poll_interval(Duration::from_secs(3600))
        .run()
        .await
        .unwrap();
    let mut waits = Vec::new();
    for _ in 0..JOBS {
        eventually("an idle system", async || {
            let sleepers = number(
                pool,
                "select count(*) from pg_locks join pg_stat_activity as a using (pid)
                 where locktype = 'advisory' and mode = 'ShareLock' and a.application_name = 'sqlxmq claim'
                   and a.datname = current_database()",
            )
            .await;
            let jobs = number(pool, "select count(*) from mq_jobs").await;
            match (sleepers, jobs) {
                (1.., 0) => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        })
        .await;
        look_at_the_clock.builder().spawn(pool).await.unwrap();
        let returned = Instant::now();
        let start = started.recv().await.unwrap();
        waits.push(start.saturating_duration_since(returned));
    }
    runner.stop().await;
    waits.sort();
    println!(
        "from the return of spawn to the start: median {:.1?}, p99 {:.1?}, worst {:.1?}",
        waits[JOBS / 2],
        waits[JOBS * 99 / 100],
        waits[JOBS - 1]
    );
    assert!(waits[JOBS / 2] <= Duration::from_millis(10), "{waits:?}");
    db.close().await;
}
