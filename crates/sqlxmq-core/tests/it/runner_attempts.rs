//! How an attempt ends: what the function returns, what becomes of the `CurrentJob`, and who is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlxmq_core::{CompleteError, CurrentJob};
use tokio::sync::mpsc;

use crate::runner_support::{errors_of, given, runner, spawn_given, until_errors, until_state};
use crate::support::queue;

#[tokio::test]
async fn a_completed_job_is_gone() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        assert!(matches!(
            job.complete().await,
            Err(CompleteError::AlreadyCompleted { .. })
        ));
        Ok(())
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_failing_job_is_retried_with_backoff_and_dies() {
    let db = queue().await;
    let (options, mut errors) = runner(db.pool(), |job: CurrentJob| async move {
        Err(format!("no luck in attempt {} of {}", job.attempt(), job.max_attempts()).into())
    });
    let id = given()
        .set_retries(2)
        .set_retry_backoff(Duration::from_millis(100))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "dead").await;
    handle.stop().await;
    let texts = errors_of(db.pool(), id).await;
    let expected: Vec<_> = (1..=3)
        .map(|n| (n, format!("no luck in attempt {n} of 3")))
        .collect();
    assert_eq!(texts, expected);
    let gaps: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from failed_at - lag(failed_at) over (order by place))::float8 from mq_errors where id = $1
         order by place offset 1",
    )
    .bind(id)
    .fetch_all(db.pool())
    .await
    .unwrap();
    assert!(gaps[0] >= 0.1 && gaps[1] >= 0.2, "{gaps:?}");
    for n in 1..=3 {
        let (name, text) = errors.recv().await.unwrap();
        assert_eq!(
            (name.as_str(), text),
            ("given", format!("no luck in attempt {n} of 3"))
        );
    }
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_with_its_message() {
    let db = queue().await;
    let (options, mut errors) = runner(db.pool(), |job: CurrentJob| async move {
        let _job = job;
        panic!("the roof is on fire");
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    let texts = until_errors(db.pool(), id, 1).await;
    assert_eq!(texts[0].1, "the job panicked: the roof is on fire");
    assert_eq!(errors.recv().await.unwrap().1, texts[0].1);
    handle.stop().await;
}

#[tokio::test]
async fn a_job_dropped_without_being_completed_has_failed() {
    let db = queue().await;
    let (options, mut errors) = runner(db.pool(), |_job: CurrentJob| async move { Ok(()) });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    let texts = until_errors(db.pool(), id, 1).await;
    assert_eq!(
        texts[0].1,
        "the job was dropped without being completed: call its `complete`, or take it as `&mut CurrentJob`"
    );
    assert_eq!(errors.recv().await.unwrap().1, texts[0].1);
    handle.stop().await;
}

#[tokio::test]
async fn the_error_of_the_function_beats_the_drop() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |job: CurrentJob| async move {
        drop(job);
        Err("out of paper".into())
    });
    let id = given().set_retries(0).spawn(db.pool()).await.unwrap();
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "dead").await;
    assert_eq!(errors_of(db.pool(), id).await, [(1, "out of paper".to_owned())]);
    handle.stop().await;
}

#[tokio::test]
async fn a_moved_job_lives_on_after_ok() {
    let db = queue().await;
    let (move_out, mut moved) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |job: CurrentJob| {
        let move_out = move_out.clone();
        async move {
            move_out.send(job)?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    let mut job = moved.recv().await.unwrap();
    until_state(db.pool(), id, "running").await;
    assert_eq!(handle.num_running_jobs(), 1);
    job.complete().await.unwrap();
    drop(job);
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_moved_job_gets_lease_lost_after_err() {
    let db = queue().await;
    let (move_out, mut moved) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |job: CurrentJob| {
        let move_out = move_out.clone();
        async move {
            move_out.send(job)?;
            Err("changed my mind".into())
        }
    });
    let id = given().set_retries(0).spawn(db.pool()).await.unwrap();
    let mut handle = options.run().await.unwrap();
    let mut job = moved.recv().await.unwrap();
    until_state(db.pool(), id, "dead").await;
    assert!(job.is_cancelled());
    assert!(matches!(
        job.complete().await,
        Err(CompleteError::LeaseLost { .. })
    ));
    let transaction = db.pool().begin().await.unwrap();
    assert!(matches!(
        job.complete_with_transaction(transaction).await,
        Err(CompleteError::LeaseLost { .. })
    ));
    drop(job);
    handle.stop().await;
    assert_eq!(
        errors_of(db.pool(), id).await,
        [(1, "changed my mind".to_owned())]
    );
}

#[tokio::test]
async fn effects_and_completion_are_committed_together() {
    let db = queue().await;
    sqlx::query("create table effects (id uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        let mut transaction = job.pool().begin().await?;
        sqlx::query("insert into effects values ($1)")
            .bind(job.id())
            .execute(&mut *transaction)
            .await?;
        job.complete_with_transaction(transaction).await?;
        Ok(())
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    let effects: Vec<uuid::Uuid> = sqlx::query_scalar("select id from effects")
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(effects, [id]);
}

#[tokio::test]
async fn a_failed_commit_leaves_the_job_to_be_completed_otherwise() {
    let db = queue().await;
    sqlx::query("create table effects (n int primary key deferrable initially deferred)")
        .execute(db.pool())
        .await
        .unwrap();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let tries = Arc::clone(&counted);
        async move {
            tries.fetch_add(1, Ordering::Relaxed);
            let mut transaction = job.pool().begin().await?;
            sqlx::query("insert into effects values (1), (1)")
                .execute(&mut *transaction)
                .await?;
            let refused = job.complete_with_transaction(transaction).await;
            assert!(
                matches!(refused, Err(CompleteError::Commit { .. })),
                "{refused:?}"
            );
            job.complete().await?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}
