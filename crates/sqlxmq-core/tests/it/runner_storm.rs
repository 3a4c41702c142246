//! Several runners on one queue while their connections break all the time.

use std::time::Duration;

use sqlxmq_core::{CurrentJob, spawn_all};
use uuid::Uuid;

use crate::runner_support::{given, runner, until_state};
use crate::support::queue;

const JOBS: usize = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_effect_happens_exactly_once_while_connections_break() {
    let db = queue().await;
    sqlx::query("create table effects (id uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let mut handles = Vec::new();
    for _ in 0..3 {
        let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
            tokio::time::sleep(Duration::from_millis(u64::from(job.id().as_bytes()[15]) / 8)).await;
            if job.id().as_bytes()[14] < 50 && job.attempt() == 1 {
                return Err("unlucky".into());
            }
            let mut transaction = job.pool().begin().await?;
            sqlx::query("insert into effects values ($1)")
                .bind(job.id())
                .execute(&mut *transaction)
                .await?;
            job.complete_with_transaction(transaction).await?;
            Ok(())
        });
        options.set_concurrency(4, 8).set_lease(Duration::from_secs(2));
        handles.push(options.run().await.unwrap());
    }
    let channels: Vec<String> = (0..JOBS).map(|n| format!("{}", n % 20)).collect();
    let mut jobs = Vec::new();
    for (n, channel) in channels.iter().enumerate() {
        let mut job = given();
        job.set_channel_name("storm")
            .set_channel_args(channel)
            .set_retries(1000);
        job.set_ordered(n % 3 == 0)
            .set_retry_backoff(Duration::from_millis(20));
        jobs.push(job);
    }
    let ids: Vec<Uuid> = spawn_all(db.pool(), &jobs).await.unwrap();
    let mut closed = 0;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        closed += sqlx::query_scalar::<_, i64>(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and application_name like 'sqlxmq %' and random() < 0.4",
        )
        .fetch_one(db.pool())
        .await
        .unwrap();
    }
    assert!(closed > 50, "{closed} connections");
    for &id in &ids {
        until_state(db.pool(), id, "").await;
    }
    for mut handle in handles {
        handle.stop().await;
    }
    let (effects, distinct): (i64, i64) = sqlx::query_as("select count(*), count(distinct id) from effects")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!((effects, distinct), (JOBS as i64, JOBS as i64));
    let left: i64 =
        sqlx::query_scalar("select (select count(*) from mq_jobs) + (select count(*) from mq_running)")
            .fetch_one(db.pool())
            .await
            .unwrap();
    assert_eq!(left, 0);
}
