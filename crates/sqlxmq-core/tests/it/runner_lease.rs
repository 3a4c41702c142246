//! Leases: how they are kept, and what happens to a job that has lost its own.

use std::time::{Duration, Instant};

use devpg::eventually;
use sqlxmq_core::{CompleteError, CurrentJob};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::runner_support::{errors_of, given, runner, spawn_given, until_errors, until_state};
use crate::support::queue;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_handler_that_blocks_its_thread_keeps_its_lease() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        // The only thread there is, for more than two leases.
        std::thread::sleep(Duration::from_secs(7));
        assert!(!job.is_cancelled());
        job.complete().await?;
        Ok(())
    });
    let id = spawn_given(db.pool()).await;
    // Somebody who would reap it.
    let other = std::thread::spawn({
        let url = db.url().to_owned();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let pool = sqlx::PgPool::connect(&url).await.unwrap();
                let (mut options, _errors) = runner(&pool, |_job: CurrentJob| async move {
                    Err("this runner was not meant to get anything".into())
                });
                let mut handle = options.set_channel_names(&["elsewhere"]).run().await.unwrap();
                tokio::time::sleep(Duration::from_secs(9)).await;
                handle.stop().await;
            });
        }
    });
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    other.join().unwrap();
}

#[tokio::test]
async fn a_cancelled_job_can_not_complete_and_its_transaction_is_rolled_back() {
    let db = queue().await;
    sqlx::query("create table effects (id uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (options, mut errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let (started, outcome) = (started.clone(), outcome.clone());
        async move {
            let (go_on, told) = tokio::sync::oneshot::channel();
            started.send(go_on)?;
            told.await?;
            let mut transaction = job.pool().begin().await?;
            sqlx::query("insert into effects values ($1)")
                .bind(job.id())
                .execute(&mut *transaction)
                .await?;
            outcome.send(job.complete_with_transaction(transaction).await)?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    let go_on: tokio::sync::oneshot::Sender<()> = has_started.recv().await.unwrap();
    assert_eq!(sqlxmq_core::cancel(db.pool(), &[id]).await.unwrap(), [id]);
    go_on.send(()).unwrap();
    assert!(matches!(
        outcomes.recv().await,
        Some(Err(CompleteError::LeaseLost { .. }))
    ));
    let effects: i64 = sqlx::query_scalar("select count(*) from effects")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(effects, 0);
    assert!(errors.recv().await.unwrap().1.contains("lost its lease"));
    handle.stop().await;
}

#[tokio::test]
async fn a_running_job_is_told_that_it_was_cancelled() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (told, mut was_told) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |job: CurrentJob| {
        let (started, told) = (started.clone(), told.clone());
        async move {
            started.send(())?;
            job.cancelled().cancelled().await;
            told.send(())?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    sqlxmq_core::cancel(db.pool(), &[id]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), was_told.recv())
        .await
        .expect("told with the next renewal");
    handle.stop().await;
}

#[tokio::test]
async fn a_runner_whose_lease_was_taken_ends_that_incarnation_and_goes_on_with_another() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let (started, outcome) = (started.clone(), outcome.clone());
        async move {
            if job.attempt() == 1 {
                started.send(())?;
                job.cancelled().cancelled().await;
            }
            outcome.send(job.complete().await)?;
            Ok(())
        }
    });
    let id = given()
        .set_retry_backoff(Duration::from_millis(10))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    sqlx::query("update mq_runners set expires_at = '-infinity'")
        .execute(db.pool())
        .await
        .unwrap();
    assert!(matches!(
        outcomes.recv().await,
        Some(Err(CompleteError::LeaseLost { .. }))
    ));
    assert!(matches!(outcomes.recv().await, Some(Ok(()))));
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

/// Closes the runner's connections, as a restart of the server or a firewall would.
async fn terminate(pool: &sqlx::PgPool, role: &str) -> i64 {
    sqlx::query_scalar(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name like 'sqlxmq ' || $1",
    )
    .bind(role)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_job_outlives_the_connections_of_its_runner() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(())?;
            // Longer than the lease of 3 s.
            tokio::time::sleep(Duration::from_secs(5)).await;
            job.complete().await?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    let closed = terminate(db.pool(), "%").await;
    assert!(closed >= 4, "{closed} connections");
    until_state(db.pool(), id, "").await;
    assert_eq!(errors_of(db.pool(), id).await, []);
    assert!(
        has_started.try_recv().is_err(),
        "it was given back, and run again"
    );
    // And it still hears of new ones.
    let next = spawn_given(db.pool()).await;
    has_started.recv().await.unwrap();
    until_state(db.pool(), next, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_completion_is_repeated_on_a_new_connection() {
    let db = queue().await;
    let url = db.url().to_owned();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let url = url.clone();
        async move {
            let pool = sqlx::PgPool::connect(&url).await?;
            assert_eq!(terminate(&pool, "complete").await, 1);
            job.complete().await?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!(errors_of(db.pool(), id).await, []);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_back_by_the_audit() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(job.id())?;
            tokio::time::sleep(Duration::from_secs(4)).await;
            job.complete().await?;
            Ok(())
        }
    });
    let held = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    assert_eq!(has_started.recv().await, Some(held));
    // What is left when the answer to a claim does not arrive: a row that the runner knows nothing of.
    let lost = given()
        .set_retry_backoff(Duration::from_millis(10))
        .set_delay(Duration::from_secs(3600))
        .spawn(db.pool())
        .await
        .unwrap();
    sqlx::query(
        "with moved as (delete from mq_scheduled where id = $1 returning id)
         insert into mq_running (runner, claim, id, attempt) select r.runner, 1, m.id, 1 from mq_runners as r, moved as m",
    )
    .bind(lost)
    .execute(db.pool())
    .await
    .unwrap();
    let texts = until_errors(db.pool(), lost, 1).await;
    assert!(texts[0].1.starts_with("lost by its runner"), "{texts:?}");
    until_state(db.pool(), lost, "").await;
    until_state(db.pool(), held, "").await;
    assert_eq!(errors_of(db.pool(), held).await, []);
    handle.stop().await;
}

#[tokio::test]
async fn the_jobs_of_a_runner_that_died_are_run_by_another_within_its_lease_and_two_seconds() {
    let db = queue().await;
    // A runner that registers, claims and is never heard of again.
    let id = spawn_given(db.pool()).await;
    let dead = Uuid::new_v4();
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        assert_eq!(job.attempt(), 2);
        job.complete().await?;
        Ok(())
    });
    sqlx::query("select mq_register($1, interval '3 seconds', 'dead')")
        .bind(dead)
        .execute(db.pool())
        .await
        .unwrap();
    sqlx::query("select mq_claim_by_name($1, 1, 10, 1000, null, true, null, false)")
        .bind(dead)
        .execute(db.pool())
        .await
        .unwrap();
    until_state(db.pool(), id, "running").await;
    let died = Instant::now();
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    let took = died.elapsed();
    assert!(
        took > Duration::from_millis(2900) && took < Duration::from_millis(5500),
        "{took:?}"
    );
    assert!(
        errors_of(db.pool(), id).await.is_empty(),
        "errors go with the job"
    );
    options.set_poll_interval(Duration::from_secs(1));
    handle.stop().await;
}

#[tokio::test]
async fn a_runner_that_has_lost_its_connection_watches_the_others_anew() {
    let db = queue().await;
    let dead = Uuid::new_v4();
    sqlx::query("select mq_register($1, interval '1 second', 'dead')")
        .bind(dead)
        .execute(db.pool())
        .await
        .unwrap();
    let (mut options, _errors) = runner(db.pool(), |_job: CurrentJob| async { Ok(()) });
    let silence = Duration::from_secs(2);
    let mut handle = options.set_lease(silence).run().await.unwrap();
    eventually("a runner that has watched for a while", async || {
        let age: Option<f64> = sqlx::query_scalar(
            "select extract(epoch from clock_timestamp() - backend_start)::float8 from pg_stat_activity
             where datname = current_database() and application_name = 'sqlxmq maintain'",
        )
        .fetch_optional(db.pool())
        .await
        .unwrap();
        if age > Some(1.2) {
            Ok(())
        } else {
            Err(format!("{age:?}"))
        }
    })
    .await;
    let broken = Instant::now();
    assert_eq!(terminate(db.pool(), "maintain").await, 1);
    eventually("the end of the dead runner", async || {
        let seen: bool = sqlx::query_scalar("select exists (select from mq_runners where runner = $1)")
            .bind(dead)
            .fetch_one(db.pool())
            .await
            .unwrap();
        if seen {
            Err("it is there".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
    let watched = broken.elapsed();
    assert!(
        watched >= silence,
        "reaped after {watched:?}: others may have been cut off as well"
    );
    handle.stop().await;
}

#[tokio::test]
async fn without_keep_alive_a_job_has_a_lease_of_its_own() {
    let db = queue().await;
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        match job.attempt() {
            1 => job.cancelled().cancelled().await,
            2 => {
                // Two leases long, and kept alive by hand.
                for _ in 0..4 {
                    job.keep_alive(Duration::from_secs(2)).await?;
                    tokio::time::sleep(Duration::from_millis(700)).await;
                }
                job.complete().await?;
            }
            other => return Err(format!("attempt {other}").into()),
        }
        Ok(())
    });
    options
        .set_keep_alive(false)
        .set_lease(Duration::from_millis(1500));
    let id = given()
        .set_retry_backoff(Duration::from_millis(10))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.run().await.unwrap();
    let texts = until_errors(db.pool(), id, 1).await;
    assert!(texts[0].1.starts_with("lease over"), "{texts:?}");
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn an_idle_runner_holds_no_lease() {
    let db = queue().await;
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let mut handle = options.set_lease(Duration::from_secs(1)).run().await.unwrap();
    for _ in 0..2 {
        let id = spawn_given(db.pool()).await;
        until_state(db.pool(), id, "").await;
        eventually("its lease to be over", async || {
            let alive: i64 =
                sqlx::query_scalar("select count(*) from mq_runners where expires_at > clock_timestamp()")
                    .fetch_one(db.pool())
                    .await
                    .unwrap();
            if alive == 0 {
                Ok(())
            } else {
                Err(format!("{alive}"))
            }
        })
        .await;
    }
    handle.stop().await;
}
