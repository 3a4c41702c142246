//! What a function returns beyond Ok and Err, and errors that know whether trying again can help.

use std::fmt;
use std::time::Duration;

use sqlxmq::{BoxError, CurrentJob, JobError, Json, Outcome, dead_jobs, job, permanent};

use crate::support::{errors, queue, run, schedule, until, until_errors};

#[job("says", retries = 3, backoff_secs = 0)]
async fn says(Json(what): Json<String>, job: &CurrentJob) -> Result<Outcome, BoxError> {
    let hour = Duration::from_secs(3600);
    Ok(match (what.as_str(), job.attempt()) {
        ("retry", _) => Outcome::Retry { after: hour },
        ("retry for ever", _) => Outcome::Retry { after: Duration::MAX },
        ("retry now", 1) => Outcome::Retry {
            after: Duration::ZERO,
        },
        ("snooze", _) => Outcome::Snooze(hour),
        ("snooze for ever", _) => Outcome::Snooze(Duration::MAX),
        ("dead", _) => Outcome::dead("no such address"),
        _ => Outcome::Done,
    })
}

async fn spawned(pool: &sqlx::PgPool, what: &str) -> uuid::Uuid {
    says.builder(&what.to_owned()).spawn(pool).await.unwrap()
}

#[tokio::test]
async fn a_retry_comes_when_it_was_asked_for_and_uses_an_attempt() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[says]).await;
    let (id, far) = (
        spawned(db.pool(), "retry").await,
        spawned(db.pool(), "retry for ever").await,
    );
    let soon = spawned(db.pool(), "retry now").await;
    until(db.pool(), soon, "").await;
    until(db.pool(), id, "scheduled").await;
    until(db.pool(), far, "scheduled").await;
    handle.stop().await;
    let (attempts, due) = schedule(db.pool(), id).await;
    assert_eq!(attempts, 1);
    assert!((3500.0..=3600.0).contains(&due), "due in {due} s");
    assert_eq!(
        errors(db.pool(), id).await,
        ["the job asked to be tried again after 3600s"]
    );
}

#[tokio::test]
async fn a_retry_without_an_attempt_left_is_death() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[says]).await;
    let id = says
        .builder(&"retry".to_owned())
        .set_retries(0)
        .spawn(db.pool())
        .await
        .unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_snoozed_job_comes_back_with_its_attempt() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[says]).await;
    let (id, far) = (
        spawned(db.pool(), "snooze").await,
        spawned(db.pool(), "snooze for ever").await,
    );
    until(db.pool(), id, "scheduled").await;
    until(db.pool(), far, "scheduled").await;
    handle.stop().await;
    let (attempts, due) = schedule(db.pool(), id).await;
    assert_eq!(attempts, 0);
    assert!((3500.0..=3600.0).contains(&due), "due in {due} s");
    assert!(errors(db.pool(), id).await.is_empty());
}

#[tokio::test]
async fn a_job_that_is_declared_dead_is_dead_at_once_with_the_reason() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[says]).await;
    let id = spawned(db.pool(), "dead").await;
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(errors(db.pool(), id).await, ["no such address"]);
    let dead = dead_jobs(db.pool(), 10, None).await.unwrap();
    assert_eq!((dead[0].id, dead[0].attempts), (id, 1));
}

#[job("owned says", retries = 3)]
async fn owned_says(_job: CurrentJob) -> Outcome {
    Outcome::dead("not today")
}

#[tokio::test]
async fn an_outcome_decides_for_a_function_that_owns_its_job_as_well() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[owned_says]).await;
    let id = owned_says.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(errors(db.pool(), id).await, ["not today"]);
}

#[tokio::test]
async fn a_dead_job_does_not_hold_up_its_ordered_channel() {
    let db = queue().await;
    let dead = spawned_in_order(db.pool(), "dead").await;
    let next = spawned_in_order(db.pool(), "done").await;
    let mut handle = run(db.pool(), &[says]).await;
    until(db.pool(), dead, "dead").await;
    until(db.pool(), next, "").await;
    handle.stop().await;
    let waiting: i64 = sqlx::query_scalar("select count(*) from mq_jobs where id <> $1")
        .bind(dead)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(waiting, 0);
}

async fn spawned_in_order(pool: &sqlx::PgPool, what: &str) -> uuid::Uuid {
    let mut builder = says.builder(&what.to_owned());
    builder.set_ordered(true).spawn(pool).await.unwrap()
}

#[derive(Debug)]
enum ChargeError {
    Declined,
    Busy,
    Unreachable,
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for ChargeError {}

impl JobError for ChargeError {
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Declined)
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Busy).then_some(Duration::from_secs(7200))
    }
}

#[job("charge", backoff_secs = 600)]
async fn charge(Json(what): Json<u32>) -> Result<(), ChargeError> {
    Err(match what {
        0 => ChargeError::Declined,
        1 => ChargeError::Busy,
        _ => ChargeError::Unreachable,
    })
}

#[tokio::test]
async fn an_error_says_itself_whether_and_when_to_try_again() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[charge]).await;
    let [declined, busy, unreachable] = [0, 1, 2].map(|what| charge.builder(&what));
    let declined = declined.spawn(db.pool()).await.unwrap();
    let busy = busy.spawn(db.pool()).await.unwrap();
    let unreachable = unreachable.spawn(db.pool()).await.unwrap();
    until(db.pool(), declined, "dead").await;
    until(db.pool(), busy, "scheduled").await;
    until(db.pool(), unreachable, "scheduled").await;
    handle.stop().await;
    assert_eq!(errors(db.pool(), declined).await, ["Declined"]);
    let (_, due) = schedule(db.pool(), busy).await;
    assert!((7100.0..=7200.0).contains(&due), "due in {due} s");
    let (_, due) = schedule(db.pool(), unreachable).await;
    assert!((590.0..=660.0).contains(&due), "its own backoff, not {due} s");
}

#[job("boxed", backoff_secs = 600)]
async fn boxed() -> Result<(), BoxError> {
    Err(permanent("boxed"))?
}

#[job("any", backoff_secs = 600)]
async fn any() -> anyhow::Result<()> {
    use anyhow::Context;
    Err(permanent(std::fmt::Error)).context("in a context")
}

#[job("any at once", backoff_secs = 600)]
async fn any_at_once() -> anyhow::Result<()> {
    Err(permanent(std::fmt::Error).into())
}

#[job("bare", backoff_secs = 600)]
async fn bare() -> Result<(), sqlxmq::Permanent> {
    Err(permanent("bare"))
}

#[job("inside", backoff_secs = 600)]
async fn inside(_job: CurrentJob) -> Result<(), Inside> {
    Err(Inside(permanent("wrong")))
}

#[derive(Debug)]
struct Inside(sqlxmq::Permanent);

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something inside is")
    }
}

impl std::error::Error for Inside {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn a_permanent_error_is_found_in_a_box_in_anyhow_and_among_sources() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[boxed, any, any_at_once, bare, inside]).await;
    for (job, error) in [
        (boxed, "boxed"),
        (any, "in a context: an error occurred when formatting an argument"),
        (any_at_once, "an error occurred when formatting an argument"),
        (bare, "bare"),
        (inside, "something inside is: wrong"),
    ] {
        let id = job.builder().spawn(db.pool()).await.unwrap();
        let seen = until_errors(db.pool(), id, 1).await;
        assert_eq!(seen, [error]);
        until(db.pool(), id, "dead").await;
    }
    handle.stop().await;
}
