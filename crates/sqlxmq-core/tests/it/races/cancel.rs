//! Cancelling a job while it moves.

use super::session::{Session, assert_sound, waits_for_a_lock};
use crate::support::queue;

#[tokio::test]
async fn a_job_can_be_cancelled_in_every_state() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    for ordered in [false, true] {
        for (state, spawn) in [
            ("ready", "mq_spawn('job'"),
            ("scheduled", "mq_spawn('job', delay => '1 hour'"),
            ("held", "mq_spawn('job', commit_interval => '1 hour'"),
            ("running", "mq_spawn('run'"),
            ("dead", "mq_spawn('die', retries => 0"),
        ] {
            let id = session
                .one(&format!(
                    "select {spawn}, channel_args => '{state}', ordered => {ordered})"
                ))
                .await;
            if state == "running" {
                session.claim_one(&["run"]).await.expect("a job");
            } else if state == "dead" {
                let (_, claim) = session.claim_one(&["die"]).await.expect("a job");
                session.fail(id, claim).await;
            }
            assert!(session.cancel(id).await.unwrap(), "{state}, ordered: {ordered}");
            assert!(!session.cancel(id).await.unwrap(), "cancelled twice: {state}");
            assert_sound(&mut session).await;
        }
    }
    let left: i64 = session.one("select count(*) from mq_jobs").await;
    assert_eq!(left, 0);
    db.close().await;
}

#[tokio::test]
async fn a_cancellation_follows_a_job_that_was_claimed_meanwhile() {
    for ordered in [false, true] {
        let db = queue().await;
        let (mut runner, mut operator, mut observer) = (
            Session::runner(&db).await,
            Session::open(&db).await,
            Session::open(&db).await,
        );
        let id = if ordered {
            runner.spawn_ordered("job", "a").await
        } else {
            runner.spawn("job", "a").await
        };
        runner.run("begin").await;
        let (_, claim) = runner.claim_one(&["job"]).await.expect("a job");
        let pid = operator.pid().await;
        let cancelling = async { operator.cancel(id).await.expect("an answer") };
        let committing = async {
            if !ordered {
                waits_for_a_lock(&mut observer, pid).await;
            }
            runner.run("commit").await;
        };
        let (cancelled, ()) = tokio::join!(cancelling, committing);
        assert!(cancelled, "ordered: {ordered}");
        assert!(runner.complete(&[id], claim).await.is_empty());
        assert_sound(&mut runner).await;
        db.close().await;
    }
}

#[tokio::test]
async fn a_cancellation_follows_a_job_that_was_released_meanwhile() {
    let db = queue().await;
    let (mut runner, mut operator, mut observer) = (
        Session::runner(&db).await,
        Session::open(&db).await,
        Session::open(&db).await,
    );
    let id = runner.spawn("job", "").await;
    let claim = runner.claim(1, &["job"]).await.claim;
    runner.run("begin").await;
    assert!(runner.release(id, claim).await);
    let pid = operator.pid().await;
    let cancelling = async { operator.cancel(id).await.expect("an answer") };
    let committing = async {
        waits_for_a_lock(&mut observer, pid).await;
        runner.run("commit").await;
    };
    let (cancelled, ()) = tokio::join!(cancelling, committing);
    assert!(cancelled);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn an_older_snapshot_that_misses_the_move_is_told_to_try_again() {
    for (level, ordered) in [
        ("repeatable read", false),
        ("repeatable read", true),
        ("serializable", false),
        ("serializable", true),
    ] {
        let db = queue().await;
        let (mut runner, mut operator) = (Session::runner(&db).await, Session::open(&db).await);
        let id: uuid::Uuid = runner
            .one(&format!("select mq_spawn('job', ordered => {ordered})"))
            .await;
        operator
            .run(&format!(
                "begin isolation level {level}; select count(*) from mq_jobs"
            ))
            .await;
        runner.claim_one(&["job"]).await.expect("a job");
        let error = operator.cancel(id).await.expect_err("a serialization failure");
        let code = error
            .as_database_error()
            .and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("40001"), "{level}, ordered: {ordered}");
        operator.run("rollback").await;
        assert_sound(&mut runner).await;
        assert!(operator.cancel(id).await.unwrap());
        assert_sound(&mut runner).await;
        db.close().await;
    }
}

#[tokio::test]
async fn a_cancellation_that_finds_an_open_claim_again_and_again_says_so() {
    let db = queue().await;
    let (mut runner, mut operator) = (Session::runner(&db).await, Session::open(&db).await);
    let id = runner.spawn_ordered("job", "a").await;
    runner.run("begin").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("a job");
    // It must not say that there was nothing to cancel: the job goes on.
    let error = operator.cancel(id).await.expect_err("a serialization failure");
    let code = error
        .as_database_error()
        .and_then(|error| error.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("40001"));
    runner.run("commit").await;
    assert!(operator.cancel(id).await.unwrap());
    assert!(runner.complete(&[id], claim).await.is_empty());
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_cancellation_that_is_rolled_back_leaves_the_job_to_be_claimed() {
    for ordered in [false, true] {
        let db = queue().await;
        let (mut runner, mut operator) = (Session::runner(&db).await, Session::open(&db).await);
        let id: uuid::Uuid = runner
            .one(&format!("select mq_spawn('job', ordered => {ordered})"))
            .await;
        operator.run("begin").await;
        assert!(operator.cancel(id).await.unwrap());
        assert_eq!(runner.claim_one(&["job"]).await, None);
        operator.run("rollback").await;
        let (claimed, _) = runner.claim_one(&["job"]).await.expect("the job is back");
        assert_eq!(claimed, id);
        assert_sound(&mut runner).await;
        db.close().await;
    }
}

#[tokio::test]
async fn cancelling_a_job_lets_the_next_in_line_start() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let first = session.spawn_ordered("job", "a").await;
    let second = session.spawn_ordered("job", "a").await;
    let third = session.spawn_ordered("job", "a").await;
    assert!(session.cancel(second).await.unwrap());
    let (claimed, claim) = session.claim_one(&["job"]).await.expect("a job");
    assert_eq!(claimed, first);
    assert!(session.cancel(first).await.unwrap());
    assert!(session.complete(&[first], claim).await.is_empty());
    assert_eq!(session.claim_one(&["job"]).await.expect("a job").0, third);
    db.close().await;
}

#[tokio::test]
async fn clearing_a_channel_name_leaves_the_others_alone() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    session
        .run(
            "select mq_spawn('job', channel_name => n, ordered => o, delay => d)
              from unnest(array['a', 'b']) as n, unnest(array[true, false]) as o,
                   unnest(array['0', '1 hour']::interval[]) as d",
        )
        .await;
    session.claim(2, &["job"]).await;
    let cleared: i64 = session.one("select mq_clear(array['a', 'unused'])").await;
    assert_eq!(cleared, 4);
    let names: Vec<String> = session
        .one("select array_agg(distinct channel_name) from mq_jobs")
        .await;
    assert_eq!(names, ["b"]);
    assert_sound(&mut session).await;
    let cleared: i64 = session.one("select mq_clear_all()").await;
    assert_eq!(cleared, 4);
    assert_sound(&mut session).await;
    db.close().await;
}
