//! Callers with snapshots of their own.

use super::session::{Session, assert_sound};
use crate::support::queue;

#[tokio::test]
async fn jobs_spawned_in_any_isolation_level_are_run() {
    for level in ["read committed", "repeatable read", "serializable"] {
        let db = queue().await;
        let mut runner = Session::runner(&db).await;
        runner.run(&format!("begin isolation level {level}")).await;
        let plain = runner.spawn("job", "a").await;
        let ordered = runner.spawn_ordered("job", "b").await;
        runner.run("commit").await;
        runner.run("select mq_promote(10)").await;
        let mut claimed = runner.claim(10, &["job"]).await;
        claimed.ids.sort();
        let mut expected = vec![plain, ordered];
        expected.sort();
        assert_eq!(claimed.ids, expected, "{level}");
        runner.run(&format!("begin isolation level {level}")).await;
        assert_eq!(
            runner.complete(&claimed.ids, claimed.claim).await.len(),
            2,
            "{level}"
        );
        runner.run("commit").await;
        assert_sound(&mut runner).await;
        db.close().await;
    }
}

#[tokio::test]
async fn serializable_callers_that_complete_different_jobs_do_not_abort_each_other() {
    let db = queue().await;
    let (mut a, mut b) = (Session::runner(&db).await, Session::runner(&db).await);
    a.run("select mq_spawn('job', channel_args => g::text, ordered => g % 2 = 0) from generate_series(1, 20) as g")
        .await;
    for _ in 0..10 {
        let (first, first_claim) = a.claim_one(&["job"]).await.expect("a job");
        let (second, second_claim) = b.claim_one(&["job"]).await.expect("a job");
        a.run("begin isolation level serializable").await;
        b.run("begin isolation level serializable").await;
        assert_eq!(a.complete(&[first], first_claim).await, [first]);
        assert_eq!(b.complete(&[second], second_claim).await, [second]);
        a.run("commit").await;
        b.run("commit").await;
    }
    assert_sound(&mut a).await;
    db.close().await;
}

#[tokio::test]
async fn serializable_callers_that_spawn_do_not_abort_each_other() {
    let db = queue().await;
    let (mut a, mut b) = (Session::open(&db).await, Session::open(&db).await);
    for _ in 0..10 {
        a.run("begin isolation level serializable").await;
        b.run("begin isolation level serializable").await;
        a.spawn("job", "same").await;
        b.spawn("job", "same").await;
        a.spawn_ordered("job", "line").await;
        b.spawn_ordered("job", "line").await;
        a.run("commit").await;
        b.run("commit").await;
    }
    let jobs: i64 = a.one("select count(*) from mq_jobs").await;
    assert_eq!(jobs, 40);
    assert_sound(&mut a).await;
    db.close().await;
}

#[tokio::test]
async fn an_ordered_job_completed_with_an_older_snapshot_gives_the_next_its_turn() {
    let db = queue().await;
    let (mut runner, mut other) = (Session::runner(&db).await, Session::open(&db).await);
    let first = runner.spawn_ordered("job", "a").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("a job");
    runner
        .run("begin isolation level repeatable read; select count(*) from mq_jobs")
        .await;
    // Spawned, and its turn used up, where the snapshot does not see it.
    let second = other.spawn_ordered("job", "a").await;
    let mut claimer = Session::runner(&db).await;
    assert_eq!(claimer.claim_one(&["job"]).await, None);
    assert_eq!(runner.complete(&[first], claim).await, [first]);
    runner.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await.expect("a job").0, second);
    db.close().await;
}

#[tokio::test]
async fn a_spawn_in_a_savepoint_that_is_rolled_back_leaves_nothing() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    session.run("begin; savepoint s").await;
    session.spawn("job", "a").await;
    session.spawn_ordered("job", "a").await;
    session.run("rollback to s").await;
    let kept = session.spawn("job", "a").await;
    session.run("commit").await;
    assert_eq!(session.claim(10, &["job"]).await.ids, [kept]);
    assert_sound(&mut session).await;
    db.close().await;
}

#[tokio::test]
async fn a_checkpoint_after_the_snapshot_neither_fails_the_completion_nor_outlives_the_job() {
    for level in ["repeatable read", "serializable"] {
        let db = queue().await;
        let (mut user, mut job) = (Session::runner(&db).await, Session::open(&db).await);
        let id = user.spawn("job", "").await;
        let claim = user.claim(1, &["job"]).await.claim;
        let runner = user.runner;
        let checkpoint =
            format!("select mq_checkpoint('{runner}', '{id}', {claim}, '\"old\"', null, 0, '1 hour')");
        user.run(&format!(
            "begin isolation level {level}; select count(*) from mq_jobs"
        ))
        .await;
        // Twice: the second one changes rows that are there already.
        job.run(&checkpoint).await;
        job.run(&checkpoint).await;
        assert_eq!(user.complete(&[id], claim).await, [id], "{level}");
        user.run("commit; select mq_promote(10)").await;
        assert_sound(&mut user).await;
        db.close().await;
    }
}
