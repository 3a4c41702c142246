//! The table of calls that take ids, names and pages: what odd ones give, in a transaction that goes on.

use std::collections::HashSet;

use sqlx::postgres::PgConnection;
use sqlxmq_core::{
    AdminError, CommitError, cancel, clear, commit, dead_jobs, discard, exists, job_errors, requeue,
};
use uuid::Uuid;

use crate::support::{ByHand, NONE, job, queue, states};

/// Some ids that no job has: nil, all ones, and one that is given twice.
fn unknown() -> [Uuid; 4] {
    [Uuid::nil(), Uuid::max(), Uuid::from_u128(7), Uuid::from_u128(7)]
}

#[tokio::test]
async fn ids_that_no_job_has_are_told_and_harm_nobody() {
    let db = queue().await;
    let bystander = job("bystander").spawn(db.pool()).await.unwrap();
    let held = job("held")
        .set_commit_interval(Some(std::time::Duration::from_secs(60)))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut transaction = db.pool().begin().await.unwrap();
    let on: &mut PgConnection = &mut transaction;

    match commit(&mut *on, &unknown()).await {
        Err(error @ CommitError::Expired { .. }) => {
            assert!(!error.is_transient());
            let CommitError::Expired { committed, missing } = error else {
                unreachable!()
            };
            assert_eq!((&committed[..], &missing[..]), (&NONE[..], &unknown()[..3]));
        }
        other => panic!("{other:?}"),
    }
    // Not held is not held, and the others are committed all the same, once.
    match commit(&mut *on, &[held, bystander, held, bystander]).await {
        Err(CommitError::Expired { committed, missing }) => {
            assert_eq!((committed, missing), (vec![held], vec![bystander]))
        }
        other => panic!("{other:?}"),
    }
    for answer in [
        cancel(&mut *on, &unknown()).await,
        requeue(&mut *on, &unknown()).await,
        discard(&mut *on, &unknown()).await,
        // Alive, and so neither to be requeued nor discarded.
        requeue(&mut *on, &[bystander]).await,
        discard(&mut *on, &[bystander]).await,
    ] {
        assert_eq!(answer.unwrap(), NONE);
    }
    for id in unknown() {
        assert!(!exists(&mut *on, id).await.unwrap());
        assert_eq!(job_errors(&mut *on, id).await.unwrap(), []);
    }
    // Many, and all at once.
    let many: Vec<Uuid> = (1..=100_000).map(Uuid::from_u128).collect();
    assert_eq!(cancel(&mut *on, &many).await.unwrap(), NONE);
    match commit(&mut *on, &many).await {
        Err(error @ CommitError::Expired { .. }) => assert!(error.to_string().len() < 400, "{error}"),
        other => panic!("{other:?}"),
    }
    transaction.commit().await.unwrap();

    assert_eq!(cancel(db.pool(), &[held, held]).await.unwrap(), [held]);
    assert_eq!(states(db.pool(), bystander).await, ["ready"]);
    db.close().await;
}

#[tokio::test]
async fn names_that_no_channel_has_clear_nothing() {
    let db = queue().await;
    let bystander = job("bystander")
        .set_channel_name("{a,b}")
        .spawn(db.pool())
        .await
        .unwrap();
    let mut transaction = db.pool().begin().await.unwrap();
    let long = "x".repeat(65_536);
    for name in [
        "a",
        "b",
        "{a",
        "{A,B}",
        "%",
        "_____",
        "'; drop table mq_jobs",
        "🦀",
        &long,
    ] {
        clear(&mut *transaction, &[name, name]).await.unwrap();
    }
    match clear(&mut *transaction, &["{a,b}", "a\0b"]).await {
        Err(error @ AdminError::Nul { .. }) => assert!(!error.is_transient()),
        other => panic!("{other:?}"),
    }
    transaction.commit().await.unwrap();
    assert_eq!(states(db.pool(), bystander).await, ["ready"]);
    db.close().await;
}

#[tokio::test]
async fn a_cursor_can_be_any_id_and_a_page_of_any_size() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let mut jobs = Vec::new();
    for _ in 0..20 {
        // Random ids, so that pages cut anywhere.
        let mut job = sqlxmq_core::JobBuilder::new_with_id(Uuid::new_v4(), "dead");
        jobs.push(job.set_retries(0).spawn(db.pool()).await.unwrap());
    }
    runner.fail_all("dead", "no").await;
    jobs.sort();
    let all = dead_jobs(db.pool(), u32::MAX, None).await.unwrap();
    assert_eq!(all.iter().map(|job| job.id).collect::<Vec<_>>(), jobs);

    let mut cursors: Vec<Uuid> = (0..32).map(|_| Uuid::new_v4()).collect();
    cursors.extend([Uuid::nil(), Uuid::max(), jobs[0], jobs[19]]);
    for cursor in cursors {
        for size in [0, 1, 7, u32::MAX] {
            let page = dead_jobs(db.pool(), size, Some(cursor)).await.unwrap();
            let seen: Vec<Uuid> = page.iter().map(|job| job.id).collect();
            let after = jobs.iter().copied().filter(|id| *id > cursor);
            let expected: Vec<Uuid> = after.take(usize::try_from(size).unwrap()).collect();
            assert_eq!(seen, expected, "{size} after {cursor}");
        }
    }
    // Page by page, each once.
    let mut seen = HashSet::new();
    let mut cursor = None;
    loop {
        let page = dead_jobs(db.pool(), 3, cursor).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some(last.id);
        assert!(page.iter().all(|job| seen.insert(job.id)));
    }
    assert_eq!(seen.len(), 20);
    db.close().await;
}
