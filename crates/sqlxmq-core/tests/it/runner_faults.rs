//! What must neither stop a runner nor leave a job stuck: odd users' code, odd options, rows that hide or are locked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sqlx::Connection;
use sqlxmq_core::{Checkpoint, CompleteError, CurrentJob, JobBuilder, JobRunnerOptions, RunError};
use tokio::sync::mpsc;

use crate::runner_fetch::{big, run_one, run_until_it_fetches_beside};
use crate::runner_support::{given, runner, spawn_given, until_state};
use crate::support::queue;

#[tokio::test]
async fn an_idle_runner_finds_a_job_below_the_mark() {
    let db = queue().await;
    let id = spawn_given(db.pool()).await;
    // What a spawn that commits late leaves: a row below a mark that is not safe.
    sqlx::query(
        "insert into mq_marks (name_key, tag, safe_tag) select name_key, tag + 1, -9223372036854775808 from mq_ready",
    )
    .execute(db.pool())
    .await
    .unwrap();
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    // With each poll the lease of the one before is over: an idle runner renews nothing.
    options
        .set_lease(Duration::from_secs(1))
        .set_poll_interval(Duration::from_secs(1));
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_job_that_somebody_has_locked_does_not_hold_up_the_outcomes_of_others() {
    let db = queue().await;
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let begun = begun.clone();
        async move {
            if job.json::<bool>()?.unwrap_or_default() {
                let (go_on, told) = tokio::sync::oneshot::channel();
                begun.send(go_on)?;
                told.await?;
                let (checkpoint, mut until) = (Checkpoint::new(), Instant::now());
                until += Duration::from_millis(300);
                while Instant::now() < until {
                    job.keep_alive(Duration::from_secs(60)).await?;
                    job.checkpoint(&checkpoint).await?;
                }
            }
            job.complete().await?;
            Ok(())
        }
    });
    let locked = given().set_json(&true).unwrap().spawn(db.pool()).await.unwrap();
    let mut options = options;
    let mut handle = options.set_concurrency(4, 8).run().await.unwrap();
    let go_on: tokio::sync::oneshot::Sender<()> = has_begun.recv().await.unwrap();
    let mut somebody = db.connect().await;
    let mut transaction = somebody.begin().await.unwrap();
    assert_eq!(
        sqlxmq_core::cancel(&mut *transaction, &[locked]).await.unwrap(),
        [locked]
    );
    go_on.send(()).unwrap();
    let started = Instant::now();
    for _ in 0..5 {
        let other = spawn_given(db.pool()).await;
        until_state(db.pool(), other, "").await;
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    transaction.rollback().await.unwrap();
    until_state(db.pool(), locked, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn durations_that_no_clock_can_hold_are_refused() {
    let db = queue().await;
    let options = || JobRunnerOptions::new(db.pool(), drop);
    for result in [
        options().set_lease(Duration::MAX).run().await,
        options().set_poll_interval(Duration::MAX).run().await,
    ] {
        assert!(matches!(result, Err(RunError::TooLong { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_runner_without_a_limit_of_jobs_claims() {
    let db = queue().await;
    for channel_names in [None, Some("mail")] {
        let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
            job.complete().await?;
            Ok(())
        });
        if let Some(name) = channel_names {
            options.set_channel_names(&[name]);
        }
        let mut handle = options.set_concurrency(1, usize::MAX).run().await.unwrap();
        let id = given().set_channel_name("mail").spawn(db.pool()).await.unwrap();
        until_state(db.pool(), id, "").await;
        handle.stop().await;
    }
}

#[test]
fn a_runtime_that_is_shut_down_ends_the_runner_and_the_handle_says_so() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (outer, inner) = (runtime(), runtime());
    let db = outer.block_on(queue());
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (handle, pool) = inner.block_on(async {
        let pool = sqlx::PgPool::connect(db.url()).await.unwrap();
        let (options, _errors) = runner(&pool, move |job: CurrentJob| {
            let started = started.clone();
            async move {
                started.send(())?;
                std::future::pending::<()>().await;
                drop(job);
                Ok(())
            }
        });
        spawn_given(&pool).await;
        let handle = options.run().await.unwrap();
        has_started.recv().await.unwrap();
        (handle, pool)
    });
    drop(inner);
    outer.block_on(async {
        assert_eq!(handle.finished().await, sqlxmq_core::RunnerEnded::RuntimeGone);
        assert_eq!(handle.shutdown(Duration::ZERO).await, 0);
        drop(handle);
    });
    drop(pool);
}

#[tokio::test]
async fn a_statement_timeout_of_the_role_does_not_stop_a_runner() {
    let db = queue().await;
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let options = options.set_connect_options(
        (*db.pool().connect_options())
            .clone()
            .options([("statement_timeout", "1ms")]),
    );
    for _ in 0..20 {
        let id = spawn_given(db.pool()).await;
        let mut handle = options.run().await.unwrap();
        until_state(db.pool(), id, "").await;
        handle.stop().await;
    }
}

#[tokio::test]
async fn a_completion_whose_future_was_dropped_goes_on_and_can_be_waited_for_again() {
    let db = queue().await;
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (options, mut errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let outcome = outcome.clone();
        async move {
            assert!(job.complete().now_or_never().is_none(), "asked, and dropped");
            match job.json::<u32>()? {
                Some(0) => outcome.send(job.complete().await)?,
                Some(1) => {
                    let transaction = job.pool().begin().await?;
                    outcome.send(job.complete_with_transaction(transaction).await)?;
                }
                _ => {}
            }
            Ok(())
        }
    });
    let mut ids = Vec::new();
    for kind in 0..3 {
        ids.push(given().set_json(&kind).unwrap().spawn(db.pool()).await.unwrap());
    }
    let mut options = options;
    let handle = options.set_concurrency(1, 1).run().await.unwrap();
    for id in ids {
        until_state(db.pool(), id, "").await;
    }
    let mut seen = [outcomes.recv().await.unwrap(), outcomes.recv().await.unwrap()];
    seen.sort_by_key(Result::is_err);
    assert!(
        matches!(seen, [Ok(()), Err(CompleteError::AlreadyCompleted { .. })]),
        "{seen:?}"
    );
    // Stopping twice at once takes the shorter grace.
    tokio::join!(
        handle.shutdown(Duration::MAX),
        handle.shutdown(Duration::from_secs(5))
    );
    drop(handle);
    // No job was reported as dropped or lost.
    drop(options);
    assert_eq!(errors.recv().await, None);
}

/// A subscriber that panics when that job starts, counted from 1.
struct Panicking(AtomicUsize);

impl tracing::Subscriber for Panicking {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let is_the_one = span.metadata().name() == "job" && self.0.fetch_sub(1, Ordering::SeqCst) == 1;
        assert!(!is_the_one, "a subscriber that panics");
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_panic_between_the_claim_and_the_start_of_a_job_gives_it_back() {
    one_with_a_panic(1, given()).await;
}

/// The fifth is fetched beside the claims, as the fourth was: see `run_until_it_fetches_beside`.
#[tokio::test]
async fn a_panic_at_the_start_of_a_job_whose_payload_is_fetched_gives_it_back() {
    for nth in 1..6 {
        one_with_a_panic(nth, big()).await;
    }
}

async fn one_with_a_panic(nth: usize, mut job: JobBuilder<'static>) {
    let _panicking = tracing::subscriber::set_default(Panicking(nth.into()));
    let db = queue().await;
    let (attempt, mut attempts) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let attempt = attempt.clone();
        async move {
            attempt.send(job.attempt())?;
            job.complete().await?;
            Ok(())
        }
    });
    let mut handle = options.set_concurrency(8, 16).run().await.unwrap();
    for _ in 0..nth {
        run_one(&db, job.set_id(uuid::Uuid::now_v7())).await;
        assert_eq!(attempts.recv().await, Some(1), "no attempt was used");
    }
    handle.stop().await;
}

/// More than are started by the poller itself.
#[tokio::test]
async fn a_panic_among_the_starts_of_many_jobs_gives_the_others_back() {
    many_with_a_panic(1, 200, 200).await;
}

#[tokio::test]
async fn a_panic_at_the_start_of_a_job_that_was_claimed_ahead_gives_it_back() {
    many_with_a_panic(500, 600, 1).await;
}

async fn many_with_a_panic(nth: usize, jobs: usize, concurrency: usize) {
    let _panicking = tracing::subscriber::set_default(Panicking(nth.into()));
    let db = queue().await;
    let (attempt, mut attempts) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let attempt = attempt.clone();
        async move {
            job.complete().await?;
            attempt.send(job.attempt())?;
            Ok(())
        }
    });
    options.set_concurrency(concurrency, concurrency);
    let builders: Vec<_> = (0..jobs)
        .map(|_| {
            let mut job = given();
            job.set_id(uuid::Uuid::now_v7());
            job
        })
        .collect();
    sqlxmq_core::spawn_all(db.pool(), &builders).await.unwrap();
    let mut handle = options.run().await.unwrap();
    for _ in 0..jobs {
        assert_eq!(attempts.recv().await, Some(1), "no attempt was used");
    }
    handle.stop().await;
}

/// As a migration may: the name comes back as another type, which Rust reads as well.
const ANOTHER_TYPE: &str = "
do $$
declare
  definition constant text := pg_get_functiondef('mq_payloads(uuid[])'::regprocedure);
begin
  drop function mq_payloads(uuid[]);
  execute replace(replace(definition, 'OUT name text', 'OUT name varchar'), 'w.name', 'w.name::varchar');
end $$";

#[tokio::test]
async fn a_statement_that_a_migration_has_made_stale_is_prepared_anew() {
    let db = queue().await;
    let (mut options, mut errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    // Small payloads come with the claim: these are asked for, over a connection that has asked before.
    let mut handle = run_until_it_fetches_beside(&db, options.set_concurrency(8, 16)).await;
    run_one(&db, &big()).await;
    sqlx::raw_sql(ANOTHER_TYPE).execute(db.pool()).await.unwrap();
    run_one(&db, big().set_retries(0)).await;
    handle.stop().await;
    assert!(errors.try_recv().is_err());
}
