//! Claims that meet.

use super::session::{Session, assert_sound};
use crate::support::queue;

#[tokio::test]
async fn a_claimed_job_is_not_claimed_twice() {
    let db = queue().await;
    let (mut first, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let a = first.spawn("mail", "").await;
    let b = first.spawn("mail", "").await;

    first.run("begin").await;
    assert_eq!(first.claim(1, &["mail"]).await.ids, [a]);
    // Neither waits for the first nor takes what it has.
    assert_eq!(second.claim(10, &["mail"]).await.ids, [b]);
    first.run("commit").await;
    assert!(second.claim(10, &["mail"]).await.ids.is_empty());
    assert_sound(&mut first).await;
    db.close().await;
}

#[tokio::test]
async fn a_claim_that_rolls_back_leaves_its_jobs_ready() {
    let db = queue().await;
    let (mut first, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let id = first.spawn("mail", "").await;
    first.run("begin").await;
    first.claim(1, &["mail"]).await;
    first.run("rollback").await;
    let claimed = second.claim(1, &["mail"]).await;
    assert_eq!((claimed.ids, claimed.attempts), (vec![id], vec![1]));
    db.close().await;
}

#[tokio::test]
async fn a_claim_takes_only_names_it_knows_however_many_others_wait() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run("select mq_spawn('foreign') from generate_series(1, 2000)")
        .await;
    let own = runner.spawn("own", "").await;
    let claimed = runner.claim(100, &["own", "unheard of"]).await;
    assert_eq!(claimed.ids, [own]);
    let all: i64 = runner.one("select count(*) from mq_running").await;
    assert_eq!(all, 1);
    db.close().await;
}

#[tokio::test]
async fn a_claim_takes_only_channel_names_it_subscribes_to() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run("select mq_spawn('job', channel_name => 'other', channel_args => g::text) from generate_series(1, 500) as g")
        .await;
    let id: uuid::Uuid = runner
        .one("select mq_spawn('job', channel_name => 'ours', channel_args => 'x')")
        .await;
    let unknown_name = runner
        .claim_with(10, &["unheard of"], &["ours", "nobody's"], false)
        .await;
    assert!(unknown_name.ids.is_empty());
    assert!(!unknown_name.more);
    let claimed = runner
        .claim_with(10, &["job"], &["ours", "nobody's"], false)
        .await;
    assert_eq!(claimed.ids, [id]);
    let nothing = runner.claim_with(10, &[], &["ours", "nobody's"], false).await;
    assert!(nothing.ids.is_empty());
    assert!(!nothing.more);
    db.close().await;
}

#[tokio::test]
async fn a_claim_never_takes_more_than_it_asked_for() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run(
            "select mq_spawn('n' || g % 7, channel_args => (g % 13)::text) from generate_series(1, 500) as g",
        )
        .await;
    for max_jobs in [1, 2, 5, 16, 33] {
        assert_eq!(runner.claim(max_jobs, &[]).await.ids.len(), max_jobs as usize);
        let filtered = runner.claim_with(max_jobs, &[], &[""], false).await;
        assert_eq!(filtered.ids.len(), max_jobs as usize);
    }
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_claim_is_bounded_in_bytes_but_takes_one_job_of_any_size() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run("select mq_spawn('big', payload_bytes => repeat('x', 1000)::bytea) from generate_series(1, 10)")
        .await;
    for (max_bytes, expected) in [(100, 1), (2500, 3)] {
        let claimed: i32 = runner
            .one(&format!(
                "select cardinality(ids) from mq_claim_by_name('{}', {}, 10, {max_bytes}, array[mq_key('big')], true, null)",
                runner.runner,
                1000 + max_bytes
            ))
            .await;
        assert_eq!(claimed, expected);
    }
    db.close().await;
}

#[tokio::test]
async fn an_idle_claim_takes_no_transaction_id() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner.run("begin").await;
    assert!(runner.claim(10, &["mail"]).await.ids.is_empty());
    assert!(
        runner
            .claim_with(10, &["mail"], &["x"], true)
            .await
            .ids
            .is_empty()
    );
    runner.run("select * from mq_promote(10)").await;
    let assigned: bool = runner
        .one("select pg_current_xact_id_if_assigned() is not null")
        .await;
    assert!(!assigned);
    db.close().await;
}

#[tokio::test]
async fn a_claim_in_another_isolation_level_is_refused() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    for level in ["repeatable read", "serializable"] {
        runner.run(&format!("begin isolation level {level}")).await;
        for call in ["mq_promote(1)", "mq_reap_jobs()", "mq_refresh_counts()"] {
            runner.run("savepoint s").await;
            assert!(runner.try_run(&format!("select {call}")).await.is_err(), "{call}");
            runner.run("rollback to s").await;
        }
        runner.run("rollback").await;
    }
    db.close().await;
}

#[tokio::test]
async fn a_later_attempt_is_claimed_durably() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let id: uuid::Uuid = runner.one("select mq_spawn('mail', backoff => '0')").await;
    runner.run("set synchronous_commit = off; begin").await;
    let claimed = runner.claim(1, &["mail"]).await;
    let first: String = runner.one("show synchronous_commit").await;
    assert_eq!(first, "off");
    runner.run("commit").await;
    assert!(runner.fail(id, claimed.claim).await);
    runner.run("select mq_promote(10)").await;
    runner.run("begin").await;
    assert_eq!(runner.claim(1, &["mail"]).await.attempts, [2]);
    let second: String = runner.one("show synchronous_commit").await;
    assert_eq!(second, "on");
    runner.run("commit").await;
    db.close().await;
}
