//! A database with the queue, a runner that beats fast, and what became of a job.

use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlx::PgPool;
use sqlxmq::{JobRegistry, JobRunnerHandle, JobRunnerOptions, NamedJob};
use uuid::Uuid;

pub async fn queue() -> TestDb {
    TestDb::create(sqlxmq::migrator()).await
}

/// A runner of these jobs and no context, whose tests need not wait.
pub async fn run(pool: &PgPool, jobs: &[&'static NamedJob]) -> JobRunnerHandle {
    fast(JobRegistry::new(jobs).runner(pool)).await
}

pub async fn fast(mut options: JobRunnerOptions) -> JobRunnerHandle {
    options
        .set_concurrency(1, 4)
        .set_lease(Duration::from_secs(3))
        .set_poll_interval(Duration::from_millis(200))
        .set_grace(Duration::from_secs(5));
    options.run().await.expect("a runner")
}

/// The state of a job by `mq_counts`' words; the empty text: gone.
pub async fn state(pool: &PgPool, id: Uuid) -> String {
    let states: Vec<String> = sqlx::query_scalar(
        "select 'scheduled' from mq_scheduled where id = $1
         union all select 'ready' from mq_ready_jobs where id = $1
         union all select 'running' from mq_running where id = $1
         union all select 'dead' from mq_dead where id = $1
         union all select 'held' from mq_held where id = $1
         union all select 'ready' from mq_line as l where l.id = $1
           and not exists (select from mq_held as h where h.id = l.id)
           and not exists (select from mq_scheduled as s where s.id = l.id)
           and not exists (select from mq_running as r where r.id = l.id)",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .expect("the state of a job");
    states.join(",")
}

/// Waits until the job is in that state.
pub async fn until(pool: &PgPool, id: Uuid, wanted: &str) {
    eventually(&format!("job {id} to be `{wanted}`"), async || {
        let seen = state(pool, id).await;
        if seen == wanted { Ok(()) } else { Err(seen) }
    })
    .await;
}

/// Waits until the job has failed that often and returns its errors.
pub async fn until_errors(pool: &PgPool, id: Uuid, count: usize) -> Vec<String> {
    eventually("failed attempts", async || {
        let seen = errors(pool, id).await;
        if seen.len() >= count {
            Ok(seen)
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await
}

/// The errors of a job's attempts, oldest first.
pub async fn errors(pool: &PgPool, id: Uuid) -> Vec<String> {
    sqlx::query_scalar("select error from mq_errors where id = $1 order by place")
        .bind(id)
        .fetch_all(pool)
        .await
        .expect("the errors of a job")
}

/// How many attempts a scheduled job has used, and in how many seconds it is due.
pub async fn schedule(pool: &PgPool, id: Uuid) -> (i32, f64) {
    sqlx::query_as(
        "select attempts, extract(epoch from due_at - clock_timestamp())::float8 from mq_scheduled where id = $1",
    )
    .bind(id)
    .fetch_one(pool)
    .await
    .expect("a scheduled job")
}
