//! When jobs start: woken, polled for, delayed; and what the next attempt starts from.

use std::time::{Duration, Instant};

use devpg::{DevPg, eventually};
use faults::Proxy;
use sqlxmq_core::{Checkpoint, CurrentJob};
use tokio::sync::mpsc;

use crate::runner_support::{given, runner, spawn_given, until_state};
use crate::support::queue;

/// Waits until a runner says that it sleeps.
async fn until_asleep(pool: &sqlx::PgPool) {
    eventually("the runner to sleep", async || {
        let locks: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks as l join pg_stat_activity as a using (pid)
             where l.locktype = 'advisory' and l.mode = 'ShareLock' and a.application_name = 'sqlxmq claim'
               and a.datname = current_database()",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if locks > 0 {
            Ok(())
        } else {
            Err("awake".to_owned())
        }
    })
    .await;
}

#[tokio::test]
async fn a_spawn_wakes_a_sleeping_runner_within_milliseconds() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(Instant::now())?;
            job.complete().await?;
            Ok(())
        }
    });
    let mut handle = options
        .set_poll_interval(Duration::from_secs(3600))
        .run()
        .await
        .unwrap();
    let mut waits = Vec::new();
    for _ in 0..20 {
        until_asleep(db.pool()).await;
        spawn_given(db.pool()).await;
        let spawned = Instant::now();
        waits.push(
            has_started
                .recv()
                .await
                .unwrap()
                .saturating_duration_since(spawned),
        );
    }
    waits.sort();
    // Generous, for a busy machine. The poll interval is an hour.
    assert!(waits[10] < Duration::from_millis(200), "{waits:?}");
    println!("median {:?}, worst {:?}", waits[10], waits[19]);
    handle.stop().await;
}

#[tokio::test]
async fn a_spawn_that_commits_after_the_runner_fell_asleep_is_found() {
    let db = queue().await;
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    // Its probe finds nobody asleep; the commit comes long after.
    let mut transaction = db.pool().begin().await.unwrap();
    let id = given().spawn(&mut *transaction).await.unwrap();
    let mut handle = options
        .set_poll_interval(Duration::from_secs(3600))
        .run()
        .await
        .unwrap();
    until_asleep(db.pool()).await;
    transaction.commit().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_runner_that_does_not_listen_polls() {
    let db = queue().await;
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let mut handle = options.set_listen(false).run().await.unwrap();
    for _ in 0..3 {
        let id = spawn_given(db.pool()).await;
        until_state(db.pool(), id, "").await;
    }
    assert!(!handle.health().listening);
    handle.stop().await;
}

#[tokio::test]
async fn a_delayed_job_starts_when_it_is_due_and_not_before() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(Instant::now())?;
            job.complete().await?;
            Ok(())
        }
    });
    let mut handle = options
        .set_poll_interval(Duration::from_secs(1))
        .run()
        .await
        .unwrap();
    until_asleep(db.pool()).await;
    let spawned = Instant::now();
    given()
        .set_delay(Duration::from_millis(300))
        .spawn(db.pool())
        .await
        .unwrap();
    let waited = has_started.recv().await.unwrap() - spawned;
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert!(waited < Duration::from_millis(900), "{waited:?}");
    handle.stop().await;
}

#[tokio::test]
async fn the_next_attempt_continues_from_the_checkpoint() {
    let db = queue().await;
    let (seen, mut payloads) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let seen = seen.clone();
        async move {
            let step: u32 = job.json()?.unwrap_or_default();
            seen.send((step, job.raw_bytes().map(<[u8]>::to_vec), job.max_attempts()))?;
            if step == 2 {
                job.complete().await?;
                return Ok(());
            }
            let mut checkpoint = Checkpoint::new();
            checkpoint.set_json(&(step + 1))?.set_extra_retries(1);
            if step == 0 {
                job.checkpoint(&checkpoint).await?;
            } else {
                let transaction = job.pool().begin().await?;
                job.checkpoint_with_transaction(transaction, checkpoint.set_raw_bytes(b"half"))
                    .await?;
            }
            Err("to be continued".into())
        }
    });
    let id = given()
        .set_json(&0)
        .unwrap()
        .set_retries(0)
        .set_retry_backoff(Duration::from_millis(10))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!(payloads.recv().await, Some((0, None, 1)));
    assert_eq!(payloads.recv().await, Some((1, None, 2)));
    assert_eq!(payloads.recv().await, Some((2, Some(b"half".to_vec()), 3)));
}

/// On a server of its own: transaction ids are the whole server's.
#[tokio::test]
async fn an_idle_runner_sends_two_statements_a_second_and_takes_no_transaction_id() {
    let server = DevPg::builder().setting("autovacuum", "off").start().unwrap();
    let pool = sqlx::PgPool::connect(&server.url("postgres")).await.unwrap();
    sqlxmq_core::migrate(&pool).await.unwrap();
    // Jobs that nobody will run now are no work either.
    given()
        .set_delay(Duration::from_secs(3600))
        .spawn(&pool)
        .await
        .unwrap();
    let proxy = Proxy::start(&server.url("postgres")).await;
    let (mut options, _errors) = runner(&pool, |_job: CurrentJob| async move { Ok(()) });
    options
        .set_direct_url(&proxy.url(&server.url("postgres")))
        .set_poll_interval(Duration::from_secs(1))
        .set_lease(Duration::from_secs(30));
    let mut handle = options.run().await.unwrap();
    until_asleep(&pool).await;
    // The last count that found something new is behind it.
    eventually("a count", async || {
        let counted: bool = sqlx::query_scalar("select counted_at > '-infinity' from mq_counts_age")
            .fetch_one(&pool)
            .await
            .unwrap();
        if counted { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    let next_id = async || {
        sqlx::query_scalar::<_, String>("select pg_snapshot_xmax(pg_current_snapshot())::text")
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    let (before, id_before) = (proxy.statements(), next_id().await);
    // What is measured is time itself.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let sent = proxy.statements() - before;
    assert!(
        (5..=22).contains(&sent),
        "{sent} statements in ten seconds, give or take a tenth"
    );
    assert_eq!(id_before, next_id().await);
    handle.stop().await;
    pool.close().await;
}

#[tokio::test]
async fn a_runner_whose_connection_was_closed_in_its_sleep_says_again_that_it_sleeps() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    let mut handle = options.run().await.unwrap();
    until_asleep(db.pool()).await;
    let closed: bool = sqlx::query_scalar(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity
         where application_name = 'sqlxmq claim' and datname = current_database()",
    )
    .fetch_one(db.pool())
    .await
    .unwrap();
    assert!(closed);
    // Its lock has gone with the connection, so that no spawn would notify it.
    until_asleep(db.pool()).await;
    handle.stop().await;
}
