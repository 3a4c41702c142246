//! Jobs whose effects can be counted, and a world that things are done to.

use std::time::Duration;

use devpg::eventually;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use sqlxmq_core::{Checkpoint, CurrentJob, JobRunnerOptions};
use uuid::Uuid;

use crate::runner_support::{given, runner};

/// `effects` are made in the transactions of completions, `steps` in those of checkpoints.
const TABLES: &str = "\
create table effects (job uuid not null);
create table steps (job uuid not null)";

/// Makes the tables of the effects.
pub async fn make_tables(pool: &PgPool) {
    sqlx::raw_sql(TABLES).execute(pool).await.expect("the tables");
}

/// A pool that gives up early and looks before it hands out a connection.
pub async fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5))
        .connect(url)
        .await
        .expect("a connection")
}

/// Spawns a job that may fail as often as it likes.
pub async fn spawn(pool: &PgPool) -> Uuid {
    builder().spawn(pool).await.expect("a spawned job")
}

/// A job that may fail as often as it likes.
pub fn builder() -> sqlxmq_core::JobBuilder<'static> {
    let mut builder = given();
    builder
        .set_retries(1000)
        .set_retry_backoff(Duration::from_millis(10));
    builder
}

/// A runner whose jobs do all that a job can: a checkpoint, one in a transaction, a failure, work, an effect.
///
/// `pool` is the jobs'.
pub fn busy_runner(pool: &PgPool, work: Duration) -> JobRunnerOptions {
    let (mut options, _errors) = runner(pool, move |mut job: CurrentJob| async move {
        let step: u32 = job.json()?.unwrap_or_default();
        if step == 0 {
            let mut one = Checkpoint::new();
            one.set_json(&1)?;
            job.checkpoint(&one).await?;
            return Err("a first failure, of its own".into());
        }
        if step == 1 {
            let mut transaction = job.pool().begin().await?;
            note_step(&mut transaction, job.id()).await?;
            let mut two = Checkpoint::new();
            two.set_json(&2)?;
            job.checkpoint_with_transaction(transaction, &two).await?;
        }
        tokio::time::sleep(work).await;
        let mut transaction = job.pool().begin().await?;
        note_effect(&mut transaction, job.id()).await?;
        job.complete_with_transaction(transaction).await?;
        Ok(())
    });
    options.set_lease(Duration::from_secs(2));
    options
}

async fn note_step(connection: &mut PgConnection, job: Uuid) -> sqlx::Result<()> {
    sqlx::query("insert into steps values ($1)")
        .bind(job)
        .execute(connection)
        .await
        .map(drop)
}

/// Makes a job's effect.
pub async fn note_effect(connection: &mut PgConnection, job: Uuid) -> sqlx::Result<()> {
    sqlx::query("insert into effects values ($1)")
        .bind(job)
        .execute(connection)
        .await
        .map(drop)
}

/// Waits until all jobs are gone.
pub async fn until_done(pool: &PgPool) {
    eventually("all jobs to be done", async || {
        let left: Vec<String> = sqlx::query_scalar(
            "select concat_ws(' ', j.id, (select string_agg(e.attempt || ' ' || e.error, '; ') from mq_errors as e where e.id = j.id))
             from mq_jobs as j",
        )
        .fetch_all(pool)
        .await
        .map_err(|error| error.to_string())?;
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    })
    .await;
}

/// How often something is in `effects` or `steps`: (rows, jobs).
pub async fn count(pool: &PgPool, table: &str) -> (i64, i64) {
    let sql = match table {
        "effects" => "select count(*), count(distinct job) from effects",
        _ => "select count(*), count(distinct job) from steps",
    };
    sqlx::query_as(sql).fetch_one(pool).await.expect("the effects")
}

/// Spawns until it is told to stop. Returns what was acknowledged: the rest may be there or not.
pub async fn spawn_until(pool: PgPool, mut stop: tokio::sync::oneshot::Receiver<()>) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    while stop.try_recv().is_err() {
        if let Ok(id) = builder().spawn(&pool).await {
            acknowledged.push(id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    acknowledged
}

/// Waits until there are so many effects more.
pub async fn until_more(pool: &PgPool, more: i64) {
    let mut before = None;
    eventually("effects", async || {
        let seen: i64 = sqlx::query_scalar("select count(*) from effects")
            .fetch_one(pool)
            .await
            .map_err(|error| error.to_string())?;
        let before = *before.get_or_insert(seen);
        if seen >= before + more {
            Ok(())
        } else {
            Err(format!("{seen}, and {before} before"))
        }
    })
    .await;
}

/// Checks that all that was acknowledged has its effect, and nothing has it twice.
pub async fn check_effects(pool: &PgPool, acknowledged: &[Uuid]) {
    let (effects, jobs) = count(pool, "effects").await;
    assert_eq!(effects, jobs, "an effect twice");
    let (steps, jobs) = count(pool, "steps").await;
    assert_eq!(steps, jobs, "a step twice");
    let lost: i64 = sqlx::query_scalar(
        "select count(*) from unnest($1) as a (job) where not exists (select from effects as e where e.job = a.job)",
    )
    .bind(acknowledged)
    .fetch_one(pool)
    .await
    .expect("the effects");
    assert_eq!(lost, 0, "of {} acknowledged", acknowledged.len());
}
