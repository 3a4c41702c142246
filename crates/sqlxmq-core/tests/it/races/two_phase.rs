//! Commit against expiry.

use super::session::{Session, assert_sound, waits_for_a_lock};
use crate::support::queue;
use uuid::Uuid;

#[tokio::test]
async fn a_job_is_either_committed_or_expired_never_both() {
    for commit_first in [true, false] {
        let db = queue().await;
        let (mut producer, mut runner, mut observer) = (
            Session::open(&db).await,
            Session::runner(&db).await,
            Session::open(&db).await,
        );
        let id: Uuid = producer
            .one("select mq_spawn('job', commit_interval => '2 seconds')")
            .await;
        producer.run("begin").await;
        if commit_first {
            let committed: Vec<Uuid> = producer
                .one(&format!("select mq_commit(array['{id}'::uuid])"))
                .await;
            assert_eq!(committed, [id]);
            observer
                .run("select pg_sleep_until(expires_at) from mq_held")
                .await;
            let expired: i32 = runner.one("select expired from mq_promote(10)").await;
            assert_eq!(expired, 0, "expiry passes over a commit on its way");
            producer.run("commit").await;
            assert_eq!(runner.claim(1, &["job"]).await.ids, [id]);
        } else {
            producer.run("rollback").await;
            observer.run("update mq_held set expires_at = '-infinity'").await;
            runner.run("begin").await;
            let expired: i32 = runner.one("select expired from mq_promote(10)").await;
            assert_eq!(expired, 1);
            let pid = producer.pid().await;
            let committing = async {
                producer
                    .one::<Vec<Uuid>>(&format!("select mq_commit(array['{id}'::uuid])"))
                    .await
            };
            let expiring = async {
                waits_for_a_lock(&mut observer, pid).await;
                runner.run("commit").await;
            };
            let (committed, ()) = tokio::join!(committing, expiring);
            assert!(committed.is_empty());
        }
        assert_sound(&mut runner).await;
        db.close().await;
    }
}

#[tokio::test]
async fn two_commits_of_the_same_jobs_in_opposite_order_do_not_deadlock() {
    let db = queue().await;
    let (mut first, mut observer) = (Session::open(&db).await, Session::open(&db).await);
    let (mut backwards, mut forwards) = (Session::open(&db).await, Session::open(&db).await);
    let mut ids: Vec<Uuid> = Vec::new();
    for _ in 0..2 {
        let held = "select mq_spawn('job', commit_interval => '1 hour')";
        ids.push(first.one(held).await);
    }
    ids.sort();
    let (low, high) = (ids[0], ids[1]);
    let commit = |ids: [Uuid; 2]| format!("select mq_commit(array['{}'::uuid, '{}'::uuid])", ids[0], ids[1]);

    // The one comes to the last job, which somebody holds, by way of the first, and the other waits for it there. From the last to
    // the first, it would hold one when the other holds the other one.
    first.run("begin").await;
    first
        .run(&format!("select mq_commit(array['{high}'::uuid])"))
        .await;
    let (backwards_pid, forwards_pid) = (backwards.pid().await, forwards.pid().await);
    let (is_waiting, has_waited) = tokio::sync::oneshot::channel();
    let (from_last, from_first, ()) = tokio::join!(
        async { backwards.one::<Vec<Uuid>>(&commit([high, low])).await },
        async {
            has_waited.await.expect("the other one waits");
            forwards.one::<Vec<Uuid>>(&commit([low, high])).await
        },
        async {
            waits_for_a_lock(&mut observer, backwards_pid).await;
            is_waiting.send(()).expect("another one");
            waits_for_a_lock(&mut observer, forwards_pid).await;
            first.run("rollback").await;
        }
    );
    assert_eq!(
        from_last.len() + from_first.len(),
        2,
        "{from_last:?} {from_first:?}"
    );
    assert_sound(&mut observer).await;
    db.close().await;
}

#[tokio::test]
async fn an_expired_job_is_not_committed_even_before_anybody_removed_it() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let id: Uuid = session
        .one("select mq_spawn('job', commit_interval => '1 microsecond')")
        .await;
    let committed: Vec<Uuid> = session
        .one(&format!("select mq_commit(array['{id}'::uuid])"))
        .await;
    assert!(committed.is_empty());
    session.run("select mq_promote(10)").await;
    let exists: bool = session.one(&format!("select mq_exists('{id}')")).await;
    assert!(!exists);
    db.close().await;
}

#[tokio::test]
async fn deadlines_count_from_the_statement_and_not_from_the_start_of_the_transaction() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    session.run("begin; select pg_sleep(0.3)").await;
    let id: Uuid = session
        .one("select mq_spawn('job', commit_interval => '0.25 seconds')")
        .await;
    let delayed: Uuid = session
        .one("select mq_spawn('job', delay => '0.25 seconds')")
        .await;
    let late: bool = session
        .one(&format!(
            "select h.expires_at > now() + interval '0.5 seconds' and s.due_at > now() + interval '0.5 seconds'
             from mq_held as h, mq_scheduled as s where h.id = '{id}' and s.id = '{delayed}'"
        ))
        .await;
    assert!(late);
    db.close().await;
}

#[tokio::test]
async fn an_ordered_held_job_that_expires_lets_the_next_start() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    session
        .run("select mq_spawn('job', ordered => true, commit_interval => '1 microsecond')")
        .await;
    let next = session.spawn_ordered("job", "").await;
    session.run("select mq_promote(10)").await;
    assert_eq!(session.claim_one(&["job"]).await.expect("the next").0, next);
    assert_sound(&mut session).await;
    db.close().await;
}
