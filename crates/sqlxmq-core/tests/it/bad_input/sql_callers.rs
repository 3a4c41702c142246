//! What callers in other languages can give `mq_spawn`: a clear SQLSTATE at the boundary, or a job that runs.
//!
//! They have no builder. What the schema accepts from them must not stop anything either.

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::support::{ByHand, job, queue};

/// Arguments of `mq_spawn`, and "ok" or the SQLSTATE.
#[rustfmt::skip]
const LINES: [(&str, &str); 44] = [
    ("'a'", "ok"),
    ("''", "23514"),
    ("null", "23502"),
    ("repeat('x', 1024)", "ok"),
    ("repeat('x', 1025)", "23514"),
    ("'a', channel_name => repeat('é', 512)", "ok"),
    ("'a', channel_name => repeat('é', 513)", "23514"),
    ("'a', channel_name => null", "23502"),
    ("'a', channel_args => repeat('x', 16384), ordered => true", "ok"),
    ("'a', channel_args => repeat('x', 16385), ordered => true", "23514"),
    ("'a', channel_args => null", "23502"),
    ("'a', ordered => null", "23502"),
    ("'a', '{'", "22P02"),
    ("'a', '\"\\u0000\"'", "ok"),
    ("'a', 'null', null", "ok"),
    ("'a', '', null", "22P02"),
    ("'a', payload_bytes => ''", "ok"),
    ("'a', id => '00000000-0000-0000-0000-000000000000'", "23514"),
    ("'a', id => 'ffffffff-ffff-ffff-ffff-ffffffffffff'", "ok"),
    ("'a', id => 'ffffffff-ffff-ffff-ffff-ffffffffffff'", "23505"),
    ("'a', id => 'no id'", "22P02"),
    ("'a', retries => 0", "ok"),
    ("'a', retries => -1", "23514"),
    ("'a', retries => 1000001", "23514"),
    ("'a', retries => 2147483647", "22003"),
    ("'a', retries => null", "23502"),
    ("'a', backoff => '36000 days'", "ok"),
    ("'a', backoff => '36000 days 1 microsecond'", "23514"),
    // An interval's own years have 365.25 days.
    ("'a', backoff => '100 years'", "23514"),
    ("'a', backoff => '-1 microsecond'", "23514"),
    ("'a', backoff => null", "23502"),
    ("'a', backoff => '178000000 years'", "23514"),
    ("'a', max_backoff => '101 years'", "23514"),
    ("'a', delay => null", "ok"),
    ("'a', delay => '-1000 years'", "ok"),
    ("'a', delay => '100 years'", "ok"),
    ("'a', delay => '100 years 1 second'", "23514"),
    ("'a', delay => '290000 years', ordered => true", "23514"),
    ("'a', delay => '178000000 years'", "23514"),
    ("'a', commit_interval => '-1 second'", "ok"),
    ("'a', commit_interval => '-178000000 years'", "22008"),
    ("'a', commit_interval => '100 years', delay => '100 years'", "ok"),
    ("'a', commit_interval => '290000 years', delay => '290000 years'", "23514"),
    ("'a', commit_interval => '178000000 years'", "23514"),
];

#[tokio::test]
async fn what_sql_callers_give_is_refused_at_the_boundary_or_harms_nobody() {
    let db = queue().await;
    let bystander = job("bystander").spawn(db.pool()).await.unwrap();
    let mut connection = db.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let mut wrong = Vec::new();
    let mut stored = 0;
    for (arguments, expected) in LINES {
        let mut savepoint = transaction.begin().await.unwrap();
        let call = format!("select mq_spawn({arguments})");
        let seen = match savepoint.execute(AssertSqlSafe(call)).await {
            Ok(_) => "ok".to_owned(),
            Err(sqlx::Error::Database(answer)) => answer.code().unwrap_or_default().into_owned(),
            Err(error) => panic!("{arguments}: {error}"),
        };
        if seen == "ok" {
            stored += 1;
            savepoint.commit().await.unwrap();
        } else {
            savepoint.rollback().await.unwrap();
        }
        if seen != expected {
            wrong.push(format!("{arguments}: {seen}, not {expected}"));
        }
    }
    transaction.commit().await.unwrap();
    connection.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // What a runner does each second, twice: it neither fails nor keeps promoting the same ones.
    let promote = "select promoted, expired from mq_promote(1000)";
    let (_, expired): (i32, i32) = sqlx::query_as(promote).fetch_one(db.pool()).await.unwrap();
    assert_eq!(expired, 1, "the interval that was over before it began");
    let again: (i32, i32) = sqlx::query_as(promote).fetch_one(db.pool()).await.unwrap();
    assert_eq!(again, (0, 0));
    let mut runner = ByHand::register(db.pool()).await;
    let mut done = Vec::new();
    loop {
        let (ids, claim) = runner.claim().await;
        if ids.is_empty() {
            break;
        }
        for id in ids {
            assert!(runner.complete(id, claim).await, "{id}");
            done.push(id);
        }
    }
    assert!(done.contains(&bystander));
    let waiting: i64 = sqlx::query_scalar("select count(*) from mq_jobs")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(waiting, 2, "a hundred years each");
    // The bystander is in the place of the one that expired.
    assert_eq!(done.len(), stored - 2);
    db.close().await;
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_refused_with_a_hint() {
    let db = queue().await;
    for (argument, what) in [("delay", "delay"), ("commit_interval", "commit interval")] {
        let call = format!("select mq_spawn('mail', {argument} => '101 years')");
        let Err(sqlx::Error::Database(answer)) = db.pool().execute(AssertSqlSafe(call)).await else {
            panic!("{argument}: accepted");
        };
        let answer = answer.downcast::<PgDatabaseError>();
        assert_eq!(
            answer.message(),
            format!("the {what} of job \"mail\" is too long")
        );
        assert_eq!(answer.hint(), Some("It may be 100 years at most."));
    }
    db.close().await;
}
