//! How a runner stops: what was not started, what runs, what is left.

use std::time::Duration;

use devpg::eventually;
use sqlxmq_core::{CompleteError, CurrentJob, RunnerEnded};
use tokio::sync::mpsc;

use crate::runner_support::{errors_of, given, runner, spawn_given, until_state};
use crate::support::{queue, states};

#[tokio::test]
async fn a_runner_that_stops_while_it_claims_leaves_no_job_behind() {
    let db = queue().await;
    for round in 0..10 {
        let mut ids = Vec::new();
        for _ in 0..50 {
            ids.push(spawn_given(db.pool()).await);
        }
        let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
            job.complete().await?;
            Ok(())
        });
        let mut handle = options.set_concurrency(20, 40).run().await.unwrap();
        tokio::time::sleep(Duration::from_millis(round)).await;
        handle.stop().await;
        for id in ids {
            let seen = states(db.pool(), id).await.join(",");
            assert!(seen.is_empty() || seen == "ready", "{seen}");
            assert_eq!(errors_of(db.pool(), id).await, []);
        }
        let used: i64 = sqlx::query_scalar("select count(*) from mq_ready_jobs where attempts > 0")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(used, 0, "a job that was given back has used no attempt");
        let runners: i64 = sqlx::query_scalar("select count(*) from mq_runners")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(runners, 0);
    }
}

#[tokio::test]
async fn stopping_waits_for_running_jobs_up_to_the_grace() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(())?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            job.complete().await?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    assert_eq!(handle.shutdown(Duration::from_secs(20)).await, 0);
    assert!(states(db.pool(), id).await.is_empty());
    assert_eq!(handle.shutdown(Duration::from_secs(20)).await, 0, "twice is fine");
    assert_eq!(handle.finished().await, RunnerEnded::Stopped);
    assert!(handle.health().stopping);
}

#[tokio::test]
async fn after_the_grace_jobs_are_cancelled_and_given_back_without_an_attempt() {
    let db = queue().await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let (started, outcome) = (started.clone(), outcome.clone());
        async move {
            started.send(())?;
            job.cancelled().cancelled().await;
            outcome.send(job.complete().await)?;
            Ok(())
        }
    });
    let id = spawn_given(db.pool()).await;
    let handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    assert_eq!(handle.shutdown(Duration::from_millis(50)).await, 1);
    assert!(matches!(
        outcomes.recv().await,
        Some(Err(CompleteError::LeaseLost { .. }))
    ));
    assert_eq!(states(db.pool(), id).await, ["ready"]);
    assert_eq!(errors_of(db.pool(), id).await, []);
    let attempts: i32 = sqlx::query_scalar("select attempts from mq_ready_jobs where id = $1")
        .bind(id)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(attempts, 0);
}

#[tokio::test]
async fn dropping_the_handle_stops_claiming_and_lets_running_jobs_end_under_their_lease() {
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
    let handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    drop(handle);
    let late = given().spawn(db.pool()).await.unwrap();
    until_state(db.pool(), id, "").await;
    eventually("the runner to be gone", async || {
        let runners: i64 = sqlx::query_scalar("select count(*) from mq_runners")
            .fetch_one(db.pool())
            .await
            .unwrap();
        if runners == 0 {
            Ok(())
        } else {
            Err(format!("{runners}"))
        }
    })
    .await;
    assert_eq!(states(db.pool(), late).await, ["ready"]);
}
