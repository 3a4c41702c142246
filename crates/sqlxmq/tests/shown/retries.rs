//! Failed jobs back off, die when they are out of attempts, and come back when somebody says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devpg::eventually;
use sqlxmq::{CurrentJob, JobRegistry, JobRunnerHandle, dead_jobs, exists, job, job_errors, requeue};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{beside_others, next, queue, run};

#[derive(Clone)]
struct World {
    is_broken: Arc<AtomicBool>,
    completions: UnboundedSender<String>,
}

/// Fails while the world is broken.
#[job(name = "shown.depend_on_the_world")]
async fn depend_on_the_world(mut job: CurrentJob, world: World) -> anyhow::Result<()> {
    let title: String = job.json()?.unwrap_or_default();
    if title == "fragile" && world.is_broken.load(Ordering::Relaxed) {
        anyhow::bail!("broken in attempt {}", job.attempt());
    }
    job.complete().await?;
    world.completions.send(title)?;
    Ok(())
}

async fn runner(pool: &sqlx::PgPool, world: World) -> JobRunnerHandle {
    let mut registry = JobRegistry::new(&[depend_on_the_world]);
    registry.set_context(world);
    registry.set_error_handler(|_, _| {});
    let mut options = registry.runner(pool);
    let started = options.set_poll_interval(Duration::from_millis(100)).run().await;
    started.expect("a runner")
}

fn broken_world() -> (World, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (completions, completed) = unbounded_channel();
    let is_broken = Arc::new(AtomicBool::new(true));
    (
        World {
            is_broken,
            completions,
        },
        completed,
    )
}

#[tokio::test]
async fn the_backoff_doubles_with_each_failure_up_to_its_cap() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    let (world, _completed) = broken_world();
    let id = depend_on_the_world
        .builder()
        .set_json("fragile")
        .unwrap()
        .set_retries(6)
        .set_retry_backoff(Duration::from_secs(100))
        .set_max_backoff(Duration::from_secs(500))
        .spawn(pool)
        .await
        .unwrap();
    let mut runner = runner(pool, world).await;
    for (attempt, seconds) in [
        (1, 100.0),
        (2, 200.0),
        (3, 400.0),
        (4, 500.0),
        (5, 500.0),
        (6, 500.0),
    ] {
        let waits: f64 = eventually("a failed attempt", async || {
            sqlx::query_scalar(
                "select extract(epoch from s.due_at - (select max(failed_at) from mq_job_errors(s.id)))::float8
                 from mq_scheduled as s where s.id = $1 and s.attempts = $2",
            )
            .bind(id)
            .bind(attempt)
            .fetch_optional(pool)
            .await
            .unwrap()
            .ok_or_else(|| format!("attempt {attempt} has not failed"))
        })
        .await;
        // Jitter only lengthens, by a tenth at most.
        assert!(
            (seconds..=seconds * 1.1 + 0.001).contains(&waits),
            "{waits} s after attempt {attempt}"
        );
        run(pool, "update mq_scheduled set due_at = clock_timestamp()").await;
    }
    let dead = eventually("a dead job", async || {
        let dead = dead_jobs(pool, 10, None).await.unwrap();
        dead.into_iter().next().ok_or_else(|| "none".to_owned())
    })
    .await;
    assert_eq!((dead.id, dead.attempts), (id, 7));
    runner.stop().await;
    db.close().await;
}

#[tokio::test]
async fn a_dead_job_keeps_its_errors_holds_nobody_up_and_runs_again_when_it_is_requeued() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    let (world, mut completed) = broken_world();
    let is_broken = Arc::clone(&world.is_broken);
    let mut ids = Vec::new();
    for title in ["fragile", "next in line"] {
        let mut builder = depend_on_the_world.builder();
        builder
            .set_ordered(true)
            .set_json(title)
            .unwrap()
            .set_retries(1)
            .set_retry_backoff(Duration::ZERO);
        ids.push(builder.spawn(pool).await.unwrap());
    }
    let mut runner = runner(pool, world).await;
    assert_eq!(next(&mut completed).await, "next in line");
    let dead = dead_jobs(pool, 10, None).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id, dead[0].attempts), (ids[0], 2));
    assert_eq!(dead[0].last_error.as_deref(), Some("broken in attempt 2"));
    let errors = job_errors(pool, ids[0]).await.unwrap();
    let texts: Vec<(u32, &str)> = errors
        .iter()
        .map(|error| (error.attempt, &*error.error))
        .collect();
    assert_eq!(texts, [(1, "broken in attempt 1"), (2, "broken in attempt 2")]);

    is_broken.store(false, Ordering::Relaxed);
    assert_eq!(requeue(pool, &ids).await.unwrap(), ids[..1]);
    assert_eq!(next(&mut completed).await, "fragile");
    assert!(!exists(pool, ids[0]).await.unwrap());
    assert_eq!(dead_jobs(pool, 10, None).await.unwrap(), []);
    runner.stop().await;
    db.close().await;
}
