//! What the attribute says about each attempt, and about the time of the first.

use std::time::{Duration, SystemTime};

use sqlxmq::{BoxError, CurrentJob, job};

use crate::support::{errors, fast, queue, run, schedule, state, until, until_errors};

#[job("sleeps", retries = 0, timeout = "50ms")]
async fn sleeps(_job: CurrentJob) {
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_job_that_does_not_end_within_its_timeout_has_failed() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[sleeps]).await;
    let id = sleeps.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(
        errors(db.pool(), id).await,
        ["the job did not end within its timeout of 50ms"]
    );
}

const SHORT: Duration = Duration::from_millis(50);

#[job("sleeps a constant", retries = 0, timeout = SHORT)]
async fn sleeps_a_constant(_job: CurrentJob) {
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_timeout_can_be_a_constant() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[sleeps_a_constant]).await;
    let id = sleeps_a_constant.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(
        errors(db.pool(), id).await,
        ["the job did not end within its timeout of 50ms"]
    );
}

#[job("leases", lease_secs = 1, retries = 1, backoff_secs = 0)]
async fn leases(job: &mut CurrentJob) {
    if job.attempt() == 1 {
        job.cancelled().cancelled().await;
    }
}

#[tokio::test]
async fn a_job_with_a_lease_of_its_own_is_not_kept_alive() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[leases]).await;
    let id = leases.builder().spawn(db.pool()).await.unwrap();
    until_errors(db.pool(), id, 1).await;
    until(db.pool(), id, "").await;
    handle.stop().await;
}

#[job("linear", backoff = linear, backoff_secs = 100, max_backoff = "350s")]
async fn linear() -> Result<(), BoxError> {
    Err("no".into())
}

#[job("fixed", backoff = fixed, backoff_secs = 100)]
async fn fixed() -> Result<(), BoxError> {
    Err("no".into())
}

/// Fails `attempts` times, each as soon as it can, and returns when it is due after the last.
async fn wait_after(db: &devpg::TestDb, id: uuid::Uuid, attempts: usize) -> f64 {
    for attempt in 1..=attempts {
        until_errors(db.pool(), id, attempt).await;
        until(db.pool(), id, "scheduled").await;
        if attempt < attempts {
            sqlx::query("update mq_scheduled set due_at = clock_timestamp()")
                .execute(db.pool())
                .await
                .unwrap();
        }
    }
    schedule(db.pool(), id).await.1
}

#[tokio::test]
async fn a_linear_backoff_grows_by_its_first_step_up_to_its_maximum() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[linear]).await;
    for (attempts, least) in [(1, 100.0), (2, 200.0), (3, 300.0), (4, 350.0)] {
        let id = linear.builder().spawn(db.pool()).await.unwrap();
        let due = wait_after(&db, id, attempts).await;
        assert!((least - 10.0..=least * 1.1).contains(&due), "due in {due} s");
        sqlxmq::cancel(db.pool(), &[id]).await.unwrap();
    }
    handle.stop().await;
}

#[job("panics", backoff = linear, backoff_secs = 100)]
async fn panics() {
    panic!("no");
}

#[job("hangs", backoff = linear, backoff_secs = 100, timeout = "20ms")]
async fn hangs() {
    std::future::pending().await
}

#[tokio::test]
async fn a_linear_backoff_is_that_of_panics_and_timeouts_as_well() {
    let db = queue().await;
    let mut registry = sqlxmq::JobRegistry::new(&[panics, hangs]);
    registry.set_error_handler(|_, _| {});
    let mut handle = fast(registry.runner(db.pool())).await;
    for job in [panics, hangs] {
        let id = job.builder().spawn(db.pool()).await.unwrap();
        // Doubled, it would be 400.
        let due = wait_after(&db, id, 3).await;
        assert!(
            (290.0..=330.0).contains(&due),
            "`{}` is due in {due} s",
            job.name()
        );
    }
    handle.stop().await;
}

#[tokio::test]
async fn a_fixed_backoff_does_not_grow() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[fixed]).await;
    let id = fixed.builder().spawn(db.pool()).await.unwrap();
    let due = wait_after(&db, id, 3).await;
    assert!((90.0..=110.0).contains(&due), "due in {due} s");
    handle.stop().await;
}

#[job("later", delay = "1h 30m")]
async fn later() {}

#[job(
    "two phases",
    commit_interval_secs = 600,
    channel_name = "mail",
    channel_args = "7"
)]
async fn two_phases() {}

#[tokio::test]
async fn delays_and_commit_intervals_of_the_attribute_hold_the_job_back() {
    let db = queue().await;
    let id = later.builder().spawn(db.pool()).await.unwrap();
    let (_, due) = schedule(db.pool(), id).await;
    assert!((5390.0..=5400.0).contains(&due), "due in {due} s");
    let builder = two_phases.builder();
    assert_eq!(
        (builder.as_ref().channel_name(), builder.as_ref().channel_args()),
        ("mail", "7")
    );
    let id = builder.spawn(db.pool()).await.unwrap();
    assert_eq!(state(db.pool(), id).await, "held");
    sqlxmq::commit(db.pool(), &[id]).await.unwrap();
    assert_eq!(state(db.pool(), id).await, "ready");
}

#[tokio::test]
async fn a_job_is_due_at_the_time_it_was_spawned_for() {
    let db = queue().await;
    let builder = later.builder();
    let time = SystemTime::now() + Duration::from_secs(600);
    let id = builder.spawn_at(time, db.pool()).await.unwrap();
    let (_, due) = schedule(db.pool(), id).await;
    assert!((590.0..=601.0).contains(&due), "due in {due} s");
    let past = SystemTime::now() - Duration::from_secs(600);
    let id = later.builder().spawn_at(past, db.pool()).await.unwrap();
    assert_eq!(state(db.pool(), id).await, "ready");
    let never = later
        .builder()
        .spawn_at(SystemTime::now() + Duration::from_secs(4_000_000_000), db.pool())
        .await;
    assert!(never.is_err(), "127 years are out of bounds");
    // The builder is as it was.
    let id = later.builder().spawn(db.pool()).await.unwrap();
    assert!(schedule(db.pool(), id).await.1 > 5000.0);
}

#[tokio::test]
async fn times_and_delays_go_together_in_one_batch() {
    let db = queue().await;
    let mut timed = later.builder();
    timed.set_time(SystemTime::now() + Duration::from_secs(60));
    let mut soon = later.builder();
    soon.set_time(SystemTime::now()).set_delay(Duration::ZERO);
    let ids = sqlxmq::spawn_all(db.pool(), &[timed, later.builder(), soon])
        .await
        .unwrap();
    assert!(schedule(db.pool(), ids[0]).await.1 < 61.0);
    assert!(schedule(db.pool(), ids[1]).await.1 > 5000.0);
    assert_eq!(state(db.pool(), ids[2]).await, "ready");
}
