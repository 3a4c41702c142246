//! A server that crashes while a commit is on its way, and gives out the transaction's id again.

use std::time::Duration;

use devpg::DevPg;
use faults::{Fault, Proxy};
use sqlx::{Connection, PgConnection, PgPool};
use sqlxmq_core::{Checkpoint, CurrentJob};
use tokio::sync::mpsc;

use crate::runner_support::{given, runner, until_state};

#[derive(Clone, Copy)]
enum Commits {
    Completion,
    Checkpoint,
}

/// What the job was told of its transaction, whose id another one had after the crash.
async fn commit_and_crash(commits: Commits) -> (PgPool, DevPg, Result<(), String>) {
    let mut server = DevPg::builder()
        .durable()
        .setting("fsync", "off")
        // What has not been committed is not in the WAL, then.
        .setting("wal_writer_delay", "10s")
        .start()
        .unwrap();
    let url = server.url("postgres");
    let pool = PgPool::connect(&url).await.unwrap();
    sqlxmq_core::migrate(&pool).await.unwrap();
    sqlx::raw_sql("create table effects (id uuid not null); create table claimed (id uuid not null)")
        .execute(&pool)
        .await
        .unwrap();
    let jobs_proxy = Proxy::start(&url).await;
    let runners_proxy = Proxy::start(&url).await;
    let through_proxy = PgPool::connect(&jobs_proxy.url(&url)).await.unwrap();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (xid, mut xids) = mpsc::unbounded_channel();
    let (jobs, runners) = (jobs_proxy.clone(), runners_proxy.clone());
    let (mut options, _errors) = runner(&through_proxy, move |mut job: CurrentJob| {
        let (outcome, xid) = (outcome.clone(), xid.clone());
        let (jobs, runners) = (jobs.clone(), runners.clone());
        async move {
            if job.attempt() > 1 {
                return Ok(job.complete().await?);
            }
            // Nobody else is to bring the transaction into the WAL. The claim is to be there: this commit takes it along.
            runners.cut();
            runners.cut_off();
            sqlx::query("insert into claimed values ($1)")
                .bind(job.id())
                .execute(job.pool())
                .await?;
            let mut transaction = job.pool().begin().await?;
            let id: String =
                sqlx::query_scalar("insert into effects values ($1) returning pg_current_xact_id()::text")
                    .bind(job.id())
                    .fetch_one(&mut *transaction)
                    .await?;
            xid.send(id.parse::<u64>()?)?;
            jobs.on_next("COMMIT", Fault::Silent);
            let answer = match commits {
                Commits::Completion => job
                    .complete_with_transaction(transaction)
                    .await
                    .map_err(|error| format!("{error:?}")),
                Commits::Checkpoint => job
                    .checkpoint_with_transaction(transaction, &Checkpoint::new())
                    .await
                    .map_err(|error| format!("{error:?}")),
            };
            outcome.send(answer)?;
            Err("the first attempt is over".into())
        }
    });
    options
        .set_direct_url(&runners_proxy.url(&url))
        .set_lease(Duration::from_secs(60));
    let id = given()
        .set_retry_backoff(Duration::from_millis(10))
        .spawn(&pool)
        .await
        .unwrap();
    let mut handle = options.run().await.unwrap();
    let xid = xids.recv().await.unwrap();
    assert!(jobs_proxy.has_met(1, Duration::from_secs(20)).await);
    let restarted = tokio::task::spawn_blocking(move || server.restart_immediately().map(|()| server));
    let server = restarted.await.unwrap().unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut next = 0;
    while next < xid {
        let given_out: String = sqlx::query_scalar("select pg_current_xact_id()::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let given_out: u64 = given_out.parse().unwrap();
        assert!(next > 0 || given_out <= xid, "{xid} is not given out again");
        next = given_out;
    }
    runners_proxy.heal();
    let answer = outcomes.recv().await.unwrap();
    until_state(&pool, id, "").await;
    handle.stop().await;
    (pool, server, answer)
}

async fn is_refused_without_effect(commits: Commits) -> String {
    let (pool, _server, answer) = commit_and_crash(commits).await;
    let effects: i64 = sqlx::query_scalar("select count(*) from effects")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(effects, 0);
    answer.expect_err("a refusal")
}

#[tokio::test]
async fn a_completion_that_a_crash_forgot_is_not_taken_for_a_later_transaction() {
    // The job's row is there, so it is even known what happened.
    let refusal = is_refused_without_effect(Commits::Completion).await;
    assert!(refusal.starts_with("Commit"), "{refusal}");
}

#[tokio::test]
async fn a_checkpoint_that_a_crash_forgot_is_not_taken_for_a_later_transaction() {
    let refusal = is_refused_without_effect(Commits::Checkpoint).await;
    assert!(refusal.starts_with("OutcomeUnknown"), "{refusal}");
}
