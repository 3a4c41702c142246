//! `sqlxmq::migrate`, from several processes at once, on an empty database and on one that is at work.

use std::sync::Arc;
use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlx::PgPool;
use sqlxmq::{CurrentJob, JobBuilder, JobRegistry, job, spawn_all};
use tokio::sync::Notify;

use crate::process::{Given, Process};
use crate::support::{beside_others, queue, until_some};

const JOBS_OF_OTHERS: usize = 10_000;

pub async fn migrator(Given { pool, .. }: Given) {
    sqlxmq::migrate(&pool).await.expect("a migrated database");
}

/// Two processes at once, twice.
async fn migrate_from_processes(db: &TestDb) {
    for round in 0..2 {
        let processes = [0, 1].map(|number| Process::start("migrating::migrator", db, 2 * round + number));
        for process in processes {
            process.stop().await;
        }
    }
}

/// The bookkeeping: how many migrations are applied, and when.
async fn books(pool: &PgPool) -> (i64, String) {
    sqlx::query_as("select count(*) filter (where success), string_agg(installed_on::text, ' ' order by version) from mq_migrations")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn two_processes_migrate_an_empty_database_twice() {
    let _beside = beside_others().await;
    let db = TestDb::create_empty().await;
    migrate_from_processes(&db).await;
    let applied = usize::try_from(books(db.pool()).await.0).unwrap();
    assert_eq!(applied, sqlxmq::migrator().iter().count());
    JobBuilder::new("shown.first").spawn(db.pool()).await.unwrap();
    db.close().await;
}

#[derive(Clone)]
struct Go(Arc<Notify>);

/// Waits to be told what to do, or fails at once.
#[job(name = "shown.outlast_a_migration", retries = 0)]
async fn outlast_a_migration(mut job: CurrentJob, go: Go) -> anyhow::Result<()> {
    if job.json::<bool>()? == Some(true) {
        go.0.notified().await;
        job.complete().await?;
    }
    Ok(())
}

/// How many jobs there are in each state.
async fn states(pool: &PgPool) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select 'jobs', count(*) from mq_jobs union all select 'held', count(*) from mq_held
         union all select 'scheduled', count(*) from mq_scheduled union all select 'ready', count(*) from mq_ready_jobs
         union all select 'line', count(*) from mq_line union all select 'running', count(*) from mq_running
         union all select 'dead', count(*) from mq_dead",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn two_processes_migrate_a_database_with_jobs_in_every_state_twice() {
    const HOUR: Duration = Duration::from_secs(3600);
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    let go = Go(Arc::default());
    let mut registry = JobRegistry::new(&[outlast_a_migration]);
    registry.set_context(go.clone());
    registry.set_error_handler(|_, _| {});
    let mut runner = registry.runner(pool).run().await.unwrap();
    let of_others = || JobBuilder::new("shown.of_another_program");
    let ready: Vec<_> = std::iter::repeat_with(of_others).take(JOBS_OF_OTHERS).collect();
    spawn_all(pool, &ready).await.unwrap();
    of_others().set_ordered(true).spawn(pool).await.unwrap();
    of_others().set_delay(HOUR).spawn(pool).await.unwrap();
    of_others()
        .set_commit_interval(Some(HOUR))
        .spawn(pool)
        .await
        .unwrap();
    for stays in [true, false] {
        let mut builder = outlast_a_migration.builder();
        builder.set_json(&stays).unwrap().spawn(pool).await.unwrap();
    }
    until_some(
        pool,
        "select count(*) from mq_running where (select true from mq_dead)",
    )
    .await;
    // The dead one may have run beside the other.
    eventually("one running job", async || match states(pool).await {
        seen if seen[5].1 == 1 => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;

    let before = (states(pool).await, books(pool).await);
    let jobs = i64::try_from(JOBS_OF_OTHERS).unwrap() + 5;
    assert_eq!(
        before.0.iter().map(|state| state.1).collect::<Vec<_>>(),
        [jobs, 1, 1, jobs - 5, 1, 1, 1]
    );
    migrate_from_processes(&db).await;
    assert_eq!((states(pool).await, books(pool).await), before);

    go.0.notify_one();
    eventually("the end of the running job", async || match states(pool).await {
        seen if seen[5].1 == 0 => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
    runner.stop().await;
    db.close().await;
}
