//! Rules of the protocol that no interleaving shows: what functions must not do to their callers, and what they must not read.

use super::session::Session;
use crate::support::queue;

/// Far more than fit into the buffers that are allowed.
const BACKLOG: i32 = 20_000;

#[tokio::test]
async fn looking_for_due_jobs_does_not_read_those_that_are_not_due() {
    let db = queue().await;
    let mut session = Session::open(&db).await;
    session
        .run(&format!(
            "select mq_spawn('job', delay => interval '1 hour', channel_args => n::text) from generate_series(1, {BACKLOG}) as n;
             select mq_spawn('job', commit_interval => interval '1 hour', channel_args => n::text) from generate_series(1, {BACKLOG}) as n"
        ))
        .await;
    let promote = "select * from mq_promote(1000)";
    // The first compiles.
    session.buffers(promote).await;
    let read = session.buffers(promote).await;
    assert!(read < 60, "{read} buffers");
    db.close().await;
}

#[tokio::test]
async fn no_function_but_a_claim_changes_how_durable_its_callers_transaction_is() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner.run("set synchronous_commit = on; begin").await;
    let id = runner.spawn("job", "a").await;
    let claim = runner.claim(1, &["job"]).await.claim;
    let token = format!("'{}', '{id}', {claim}", runner.runner);
    runner
        .run(&format!(
            "select * from mq_checkpoint({token}, '1', null, 0, null);
             select mq_keep_alive({token}, interval '1 minute')"
        ))
        .await;
    assert_eq!(runner.complete(&[id], claim).await, [id]);
    let failed = runner.spawn("job", "b").await;
    let claim = runner.claim(1, &["job"]).await.claim;
    assert!(runner.fail(failed, claim).await);
    runner
        .run(&format!(
            "select mq_commit(array['{failed}'::uuid]), mq_cancel(array['{failed}'::uuid]), mq_promote(10)"
        ))
        .await;
    let setting: String = runner.one("select current_setting('synchronous_commit')").await;
    assert_eq!(setting, "on");
    runner.run("commit").await;
    db.close().await;
}

#[tokio::test]
async fn a_running_row_without_its_job_is_told_and_not_taken_for_a_completion() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let id = runner.spawn("job", "").await;
    let claim = runner.claim(1, &["job"]).await.claim;
    runner
        .run(&format!("delete from mq_jobs where id = '{id}'"))
        .await;
    let error = runner
        .try_run(&format!(
            "select mq_complete('{}', array['{id}'::uuid], array[{claim}::bigint], true)",
            runner.runner
        ))
        .await
        .expect_err("there is no such job");
    let code = error
        .as_database_error()
        .and_then(|error| error.code().map(String::from));
    assert_eq!(code.as_deref(), Some("XX001"));
    db.close().await;
}

/// How many characters the answer to a claim has.
async fn answer_to_a_claim(payload_bytes: i32, jobs: i32) -> i32 {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run(&format!(
            "select mq_spawn('job', payload => to_json(repeat('x', {payload_bytes}))) from generate_series(1, {jobs})"
        ))
        .await;
    let token_runner = runner.runner;
    let length = runner
        .one(&format!(
            "select length(c::text) from mq_claim_by_name('{token_runner}', 1, {jobs}, 1 << 30, array[mq_key('job')], true, null, false) as c"
        ))
        .await;
    let claimed: i64 = runner.one("select count(*) from mq_running").await;
    assert_eq!(claimed, i64::from(jobs));
    db.close().await;
    length
}

#[tokio::test]
async fn a_claim_returns_small_payloads_only_and_not_many_of_them() {
    // Whoever is slow to read the answer holds the claim's locks meanwhile. So it fits into the buffers of a connection.
    for (payload_bytes, jobs) in [(500_000, 1), (10_000, 50), (100, 500)] {
        let length = answer_to_a_claim(payload_bytes, jobs).await;
        assert!(
            length < 50_000,
            "{length} characters for {jobs} of {payload_bytes} bytes"
        );
    }
}

#[tokio::test]
async fn no_function_truncates_or_locks_a_table() {
    let db = queue().await;
    let mut session = Session::open(&db).await;
    let found: i64 = session
        .one(
            r"select count(*) from pg_proc
              where proname like 'mq\_%' and prosrc ~* '\y(truncate|lock\s+table|lock\s+mq_)'",
        )
        .await;
    assert_eq!(found, 0);
    db.close().await;
}
