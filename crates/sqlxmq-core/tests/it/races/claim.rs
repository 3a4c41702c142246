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

/// What is no sweep finds a single job by a shorter way.
#[tokio::test]
async fn a_claim_of_the_only_job_that_is_free_does_not_wait_for_the_others() {
    let db = queue().await;
    let (mut first, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let a = first.spawn("mail", "").await;
    let b = first.spawn("mail", "").await;
    first.run("begin").await;
    assert_eq!(first.claim_with(1, &["mail"], &[], false).await.ids, [a]);
    let claimed = second.claim_with(10, &["mail"], &[], false).await;
    assert_eq!((claimed.ids, claimed.attempts), (vec![b], vec![1]));
    first.run("rollback").await;
    let claimed = second.claim_with(10, &["mail"], &[], false).await;
    assert_eq!((claimed.ids, claimed.attempts), (vec![a], vec![1]));
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

/// A share of none of a few jobs would be: rows that somebody holds keep only themselves.
#[tokio::test]
async fn a_claim_of_fewer_jobs_than_names_passes_over_those_whose_rows_are_locked() {
    let db = queue().await;
    let (mut runner, mut holder) = (Session::runner(&db).await, Session::open(&db).await);
    for name in ["a", "b", "c"] {
        runner.spawn(name, "").await;
    }
    runner
        .run("select mq_spawn('free') from generate_series(1, 100)")
        .await;
    holder.run("begin").await;
    holder
        .run("select from mq_ready where name_key <> mq_key('free') for update")
        .await;
    let names = ["a", "b", "c", "free"];
    for max_jobs in [1, 1, 1, 1, 3, 3, 3, 3] {
        let claimed = runner.claim(max_jobs, &names).await;
        assert_eq!(claimed.ids.len(), max_jobs as usize);
    }
    // A runner without a lease, which looks before it takes one, is told that there is something.
    let is_refused: bool = runner
        .one(
            "select expired from mq_claim_by_name(mq_new_id(), 0, 1, 1000, (select array_agg(mq_key(n)) from unnest('{a,b,c,free}'::text[]) as n),
               true, null, false)",
        )
        .await;
    assert!(is_refused);
    holder.run("rollback").await;
    assert_sound(&mut runner).await;
    db.close().await;
}

/// One in about 256 does; that none of so many does happens once in 100,000 runs.
#[tokio::test]
async fn claims_of_single_jobs_leave_marks() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run("select mq_spawn('job') from generate_series(1, 3000)")
        .await;
    runner
        .run(
            "create function claim_one_by_one(runner uuid) returns void language plpgsql as $$
             begin
               for nth in 1..3000 loop
                 perform mq_claim_by_name(runner, nth, 1, 1000, array[mq_key('job')], false, null, false);
               end loop;
             end $$",
        )
        .await;
    let token_runner: uuid::Uuid = runner.one("select runner from mq_runners").await;
    runner
        .run(&format!("select claim_one_by_one('{token_runner}')"))
        .await;
    let marks: i64 = runner.one("select count(*) from mq_marks").await;
    assert!(marks > 0);
    db.close().await;
}

#[tokio::test]
async fn a_claim_that_finds_nothing_says_whether_something_is_due() {
    let db = queue().await;
    let (mut runner, mut other) = (Session::runner(&db).await, Session::runner(&db).await);
    let mut is_due = async |sweep: bool| -> Option<bool> {
        let token_runner: uuid::Uuid = other
            .one("select runner from mq_runners order by 1 limit 1")
            .await;
        let claim: i64 = other.one("select nextval('mq_number')").await;
        other
            .one(&format!(
                "select due from mq_claim_by_name('{token_runner}', {claim}, 10, 1000, null, {sweep}, null, true)"
            ))
            .await
    };
    assert_eq!(
        (is_due(true).await, is_due(false).await),
        (Some(false), Some(false))
    );
    runner
        .run("select mq_spawn('late', delay => '10 milliseconds'); select pg_sleep(0.02)")
        .await;
    assert_eq!(
        (is_due(true).await, is_due(false).await),
        (Some(true), Some(true))
    );
    // A turn that can't be used is nothing: the channel's job runs, and is ending.
    runner.spawn_ordered("job", "a").await;
    let (head, claim) = runner.claim_one(&["job"]).await.expect("a job");
    runner.spawn_ordered("job", "a").await;
    runner.run("begin").await;
    assert_eq!(runner.complete(&[head], claim).await, [head]);
    assert_eq!(
        (is_due(true).await, is_due(false).await),
        (Some(true), Some(true))
    );
    runner.run("rollback").await;
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
                "select cardinality(ids) from mq_claim_by_name('{}', {}, 10, {max_bytes}, array[mq_key('big')], true, null, false)",
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
    runner.run("set synchronous_commit = off").await;
    for sweep in [true, false] {
        let id: uuid::Uuid = runner.one("select mq_spawn('mail', backoff => '0')").await;
        runner.run("begin").await;
        let claimed = runner.claim_with(1, &["mail"], &[], sweep).await;
        let first: String = runner.one("show synchronous_commit").await;
        assert_eq!(first, "off");
        runner.run("commit").await;
        assert!(runner.fail(id, claimed.claim).await);
        runner.run("select mq_promote(10)").await;
        runner.run("begin").await;
        let claimed = runner.claim_with(1, &["mail"], &[], sweep).await;
        assert_eq!(claimed.attempts, [2]);
        let second: String = runner.one("show synchronous_commit").await;
        assert_eq!(second, "on");
        runner.run("commit").await;
        assert_eq!(runner.complete(&[id], claimed.claim).await, [id]);
    }
    db.close().await;
}
