//! Low-water marks must not hide a row.

use super::session::{Session, assert_sound};
use crate::support::queue;

/// Claims and completes until nothing is left, so often that marks are set for sure.
async fn churn(runner: &mut Session, jobs: i32) {
    runner
        .run(&format!("select mq_spawn('job') from generate_series(1, {jobs})"))
        .await;
    loop {
        let claimed = runner.claim_with(300, &["job"], &[], false).await;
        if claimed.ids.is_empty() {
            return;
        }
        runner.complete(&claimed.ids, claimed.claim).await;
    }
}

async fn marks(session: &mut Session) -> i64 {
    session
        .one("select coalesce(max(tag), -1) from mq_marks where name_key = mq_key('job')")
        .await
}

#[tokio::test]
async fn a_spawn_that_commits_late_is_found_below_the_mark() {
    let db = queue().await;
    let (mut runner, mut late) = (Session::runner(&db).await, Session::open(&db).await);
    late.run("begin").await;
    let id = late.spawn("job", "late").await;
    churn(&mut runner, 900).await;
    churn(&mut runner, 900).await;
    let tag: i64 = late.one("select tag from mq_ready_jobs").await;
    assert!(
        marks(&mut runner).await > tag,
        "the mark has passed the open spawn"
    );
    late.run("commit").await;
    let claimed = runner.claim_with(10, &["job"], &[], true).await;
    assert_eq!(claimed.ids, [id]);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_claim_that_rolls_back_is_not_hidden_by_the_mark_of_another() {
    let db = queue().await;
    let (mut first, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let id = first.spawn("job", "early").await;
    first.run("begin").await;
    // Without a sweep, which would set a mark: as long as that is open, nobody else sets one.
    assert_eq!(first.claim_with(1, &["job"], &[], false).await.ids, [id]);
    churn(&mut second, 900).await;
    churn(&mut second, 900).await;
    first.run("rollback").await;
    let claimed = second.claim_with(10, &["job"], &[], false).await;
    assert_eq!(
        claimed.ids,
        [id],
        "even without a sweep: the row was visible all the time"
    );
    db.close().await;
}

#[tokio::test]
async fn a_released_job_is_placed_above_the_mark() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let id = runner.spawn("job", "early").await;
    let claim = runner.claim(1, &["job"]).await.claim;
    churn(&mut runner, 900).await;
    churn(&mut runner, 900).await;
    assert!(runner.release(id, claim).await);
    let claimed = runner.claim_with(10, &["job"], &[], false).await;
    assert_eq!(claimed.ids, [id]);
    db.close().await;
}

#[tokio::test]
async fn a_spawn_with_an_older_snapshot_is_placed_above_the_mark() {
    let db = queue().await;
    let (mut runner, mut old) = (Session::runner(&db).await, Session::open(&db).await);
    churn(&mut runner, 300).await;
    old.run("begin isolation level repeatable read; select count(*) from mq_jobs")
        .await;
    churn(&mut runner, 900).await;
    let id = old.spawn_ordered("job", "old").await;
    old.run("commit").await;
    let claimed = runner.claim_with(10, &["job"], &[], false).await;
    assert_eq!(claimed.ids, [id]);
    db.close().await;
}

#[tokio::test]
async fn a_claim_touches_a_bounded_number_of_buffers_whatever_the_dead_rows() {
    let db = queue().await;
    let (mut runner, mut pin) = (Session::runner(&db).await, Session::open(&db).await);
    pin.run("begin isolation level repeatable read; select count(*) from mq_jobs")
        .await;
    churn(&mut runner, 300).await;
    let before = buffers_of_a_claim(&mut runner).await;
    for _ in 0..5 {
        churn(&mut runner, 3000).await;
    }
    let after = buffers_of_a_claim(&mut runner).await;
    // 15,000 dead rows lie before the ready ones, some 500 buffers; the index is deeper by a level or two and a mark may be 512 rows
    // old.
    assert!(
        after < before + 200,
        "{before} buffers at first, {after} with dead rows before"
    );
    db.close().await;
}

async fn buffers_of_a_claim(runner: &mut Session) -> i64 {
    runner
        .run("select mq_spawn('job') from generate_series(1, 10)")
        .await;
    // A token that no claim of this session has had.
    let claim = 1_000_000 + marks(runner).await;
    let token_runner = runner.runner;
    runner
        .buffers(&format!(
            "select * from mq_claim_by_name('{token_runner}', {claim}, 10, 1000, array[mq_key('job')], false, null, false)"
        ))
        .await
}

#[tokio::test]
async fn ready_jobs_are_counted_whether_their_names_have_marks_or_not() {
    let db = queue().await;
    let mut session = Session::open(&db).await;
    session
        .run("select mq_spawn('job ' || n % 9) from generate_series(1, 27) as n")
        .await;
    let count = "select coalesce(sum(jobs), 0)::bigint from mq_count_now() where state = 'ready'";
    assert_eq!(session.one::<i64>(count).await, 27);
    for every in [4, 2, 1] {
        session
            .run(&format!(
                "insert into mq_marks (name_key, tag, safe_tag)
                 select q.name_key, min(q.tag), min(q.tag)
                 from generate_series(0, 8, {every}) as n
                 join mq_ready as q on q.name_key = mq_key('job ' || n)
                 group by q.name_key
                 on conflict do nothing"
            ))
            .await;
        assert_eq!(session.one::<i64>(count).await, 27, "a mark for each {every}th");
    }
    db.close().await;
}
