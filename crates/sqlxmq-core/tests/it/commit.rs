//! Two-phase spawning: commit says what it committed.

use std::time::Duration;

use sqlx::Executor;
use sqlxmq_core::{CommitError, commit, exists};
use uuid::Uuid;

use crate::support::{ByHand, NONE, job, queue, states};

const LONG: Option<Duration> = Some(Duration::from_secs(3_600));

#[tokio::test]
async fn a_held_job_is_ready_once_it_is_committed() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let held = job("held")
        .set_commit_interval(LONG)
        .spawn(db.pool())
        .await
        .unwrap();
    let delayed = job("delayed")
        .set_commit_interval(LONG)
        .set_delay(Duration::from_secs(60))
        .spawn(db.pool())
        .await
        .unwrap();
    assert_eq!(states(db.pool(), held).await, ["held"]);
    assert_eq!(runner.claim().await.0, NONE);

    commit(db.pool(), &[held, delayed, held]).await.unwrap();
    assert_eq!(states(db.pool(), delayed).await, ["scheduled"]);
    assert_eq!(runner.claim().await.0, [held]);
    commit(db.pool(), &[]).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn commit_says_which_jobs_it_did_not_commit() {
    let db = queue().await;
    let held = job("held")
        .set_commit_interval(LONG)
        .spawn(db.pool())
        .await
        .unwrap();
    let committed_before = job("before")
        .set_commit_interval(LONG)
        .spawn(db.pool())
        .await
        .unwrap();
    commit(db.pool(), &[committed_before]).await.unwrap();
    let never_held = job("plain").spawn(db.pool()).await.unwrap();
    let expired = job("expired")
        .set_commit_interval(Some(Duration::ZERO))
        .spawn(db.pool())
        .await
        .unwrap();
    let unknown = Uuid::now_v7();

    let mut transaction = db.pool().begin().await.unwrap();
    let outcome = commit(
        &mut *transaction,
        &[
            unknown,
            expired,
            held,
            never_held,
            committed_before,
            Uuid::nil(),
            unknown,
        ],
    )
    .await;
    match outcome {
        Err(CommitError::Expired { committed, missing }) => {
            assert_eq!(committed, [held]);
            assert_eq!(
                missing,
                [unknown, expired, never_held, committed_before, Uuid::nil()]
            );
        }
        other => panic!("{other:?}"),
    }
    // The statement succeeded: the transaction goes on, and holds what was committed.
    transaction.execute("select 1").await.unwrap();
    assert_eq!(states(db.pool(), held).await, ["held"]);
    transaction.commit().await.unwrap();
    assert_eq!(states(db.pool(), held).await, ["ready"]);
    assert!(exists(db.pool(), never_held).await.unwrap());
    db.close().await;
}

#[tokio::test]
async fn a_commit_that_is_rolled_back_leaves_the_job_held() {
    let db = queue().await;
    let held = job("held")
        .set_commit_interval(LONG)
        .set_ordered(true)
        .spawn(db.pool())
        .await
        .unwrap();
    let mut transaction = db.pool().begin().await.unwrap();
    commit(&mut *transaction, &[held]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(states(db.pool(), held).await, ["held"]);
    commit(db.pool(), &[held]).await.unwrap();
    assert_eq!(states(db.pool(), held).await, ["ready"]);
    db.close().await;
}

#[tokio::test]
async fn a_commit_without_a_schema_says_so() {
    let empty = devpg::TestDb::create_empty().await;
    let outcome = commit(empty.pool(), &[Uuid::now_v7()]).await;
    assert!(
        matches!(outcome, Err(CommitError::SchemaMissing { .. })),
        "{outcome:?}"
    );
    empty.close().await;
}
