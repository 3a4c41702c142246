//! A transaction per job, as an argument: committed with the job's completion, or not at all.

use std::time::Duration;

use faults::{Fault, Proxy};
use sqlx::PgPool;
use sqlxmq::{
    BoxError, CompleteError, CurrentJob, JobBuilder, JobEnd, JobInput, JobRegistry, JobTx, Json, LendToJob,
    Outcome, job,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{errors, fast, queue, run, schedule, state, until, until_errors};

/// `checked` is looked at when the transaction commits.
const TABLES: &str = "\
create table effects (job uuid not null, step text not null);
create table rights (step text primary key);
create table checked (step text references rights deferrable initially deferred)";

async fn tables(pool: &PgPool) {
    sqlx::raw_sql(TABLES).execute(pool).await.unwrap();
}

async fn effects(pool: &PgPool) -> Vec<Uuid> {
    sqlx::query_scalar("select job from effects")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[job("writes", retries = 1, backoff_secs = 600, timeout = "5s")]
async fn writes(tx: &mut JobTx, Json(what): Json<String>, job: &CurrentJob) -> Result<Outcome, BoxError> {
    sqlx::query("insert into effects values ($1, $2)")
        .bind(job.id())
        .bind(&what)
        .execute(&mut **tx)
        .await?;
    JobBuilder::new("follows").spawn(&mut **tx).await?;
    let hour = Duration::from_secs(3600);
    match what.as_str() {
        "fail" => Err("no".into()),
        "panic" => panic!("oh"),
        "retry" => Ok(Outcome::Retry { after: hour }),
        "snooze" => Ok(Outcome::Snooze(hour)),
        "dead" => Ok(Outcome::dead("no")),
        _ => Ok(Outcome::Done),
    }
}

async fn spawned(pool: &PgPool, what: &str) -> Uuid {
    writes.builder(&what.to_owned()).spawn(pool).await.unwrap()
}

async fn following(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from mq_jobs where name = 'follows'")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn effects_spawns_and_the_completion_are_committed_together() {
    let db = queue().await;
    tables(db.pool()).await;
    let mut handle = run(db.pool(), &[writes]).await;
    let id = spawned(db.pool(), "do").await;
    until(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!(effects(db.pool()).await, [id]);
    assert_eq!(following(db.pool()).await, 1);
}

#[tokio::test]
async fn an_attempt_that_ends_otherwise_has_no_effects() {
    let db = queue().await;
    tables(db.pool()).await;
    let mut handle = run(db.pool(), &[writes]).await;
    for (what, expected) in [
        ("fail", "scheduled"),
        ("panic", "scheduled"),
        ("retry", "scheduled"),
        ("snooze", "scheduled"),
        ("dead", "dead"),
    ] {
        let id = spawned(db.pool(), what).await;
        until(db.pool(), id, expected).await;
    }
    handle.stop().await;
    assert!(effects(db.pool()).await.is_empty());
    assert_eq!(following(db.pool()).await, 0);
}

#[job("checks", retries = 1, backoff_secs = 600)]
async fn checks(tx: &mut JobTx) -> Result<(), BoxError> {
    sqlx::query("insert into checked values ('x')")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_commit_that_fails_is_a_failed_attempt_and_the_next_one_succeeds() {
    let db = queue().await;
    tables(db.pool()).await;
    let mut handle = run(db.pool(), &[checks]).await;
    let id = checks.builder().spawn(db.pool()).await.unwrap();
    let seen = until_errors(db.pool(), id, 1).await;
    assert!(
        seen[0].contains("failed to commit") && seen[0].contains("foreign key"),
        "{seen:?}"
    );
    until(db.pool(), id, "scheduled").await;
    assert_eq!(schedule(db.pool(), id).await.0, 1);
    sqlx::raw_sql("insert into rights values ('x'); update mq_scheduled set due_at = clock_timestamp()")
        .execute(db.pool())
        .await
        .unwrap();
    until(db.pool(), id, "").await;
    handle.stop().await;
    let rows: i64 = sqlx::query_scalar("select count(*) from checked")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(rows, 1);
}

#[job("meets", retries = 1, backoff_secs = 0)]
async fn meets(job: &CurrentJob, tx: &mut JobTx, fate: Fault, proxy: Proxy) -> Result<(), BoxError> {
    sqlx::query("insert into effects values ($1, 'meets')")
        .bind(job.id())
        .execute(&mut **tx)
        .await?;
    if job.attempt() == 1 {
        proxy.on_next("COMMIT", fate);
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_that_meets_an_accident_leaves_effects_once() {
    // Committed, and asked after; or lost, and done again.
    for (fate, failures) in [(Fault::AnswerLost, 0), (Fault::Lost, 1)] {
        let db = queue().await;
        tables(db.pool()).await;
        let proxy = Proxy::start(db.url()).await;
        let through_proxy = PgPool::connect(&proxy.url(db.url())).await.unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut registry = JobRegistry::new(&[meets]);
        registry
            .set_context(fate)
            .set_context(proxy.clone())
            .set_error_handler(move |_, error| drop(tell.send(error.to_string())));
        let mut options = registry.runner(&through_proxy);
        options.set_direct_url(db.url());
        let mut handle = fast(options).await;
        let id = meets.builder().spawn(db.pool()).await.unwrap();
        until(db.pool(), id, "").await;
        handle.stop().await;
        assert_eq!(effects(db.pool()).await, [id], "{fate:?}");
        let mut seen = Vec::new();
        while let Ok(error) = told.try_recv() {
            seen.push(error);
        }
        assert_eq!(seen.len(), failures, "{fate:?}: {seen:?}");
    }
}

async fn soon<T>(received: impl Future<Output = Option<T>>) -> T {
    let received = tokio::time::timeout(Duration::from_secs(20), received).await;
    received.expect("a message within 20 s").expect("a sender")
}

/// Where a job says that it has begun, and waits for a word.
type Gate = std::sync::Arc<(mpsc::UnboundedSender<()>, tokio::sync::Semaphore)>;

#[job("waits", retries = 3, backoff_secs = 600)]
async fn waits(job: &mut CurrentJob, tx: &mut JobTx, gate: Gate) -> Result<(), BoxError> {
    sqlx::query("insert into effects values ($1, 'waits')")
        .bind(job.id())
        .execute(&mut **tx)
        .await?;
    let _ = gate.0.send(());
    gate.1.acquire().await?.forget();
    Ok(())
}

#[tokio::test]
async fn of_two_attempts_at_a_time_only_the_one_that_has_the_job_commits() {
    let db = queue().await;
    tables(db.pool()).await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (tell, mut told) = mpsc::unbounded_channel();
    let gate: Gate = std::sync::Arc::new((begun, tokio::sync::Semaphore::new(0)));
    let mut registry = JobRegistry::new(&[waits]);
    registry
        .set_context(std::sync::Arc::clone(&gate))
        .set_error_handler(move |_, error| drop(tell.send(error.to_string())));
    let mut options = registry.runner(db.pool());
    options
        .set_concurrency(2, 4)
        .set_lease(Duration::from_secs(3))
        .set_poll_interval(Duration::from_millis(200));
    let mut handle = options.run().await.unwrap();
    let id = waits.builder().spawn(db.pool()).await.unwrap();
    soon(begins.recv()).await;
    // The runner loses its lease, gets another one, and runs the job again.
    sqlx::query("select mq_unregister(r.runner) from mq_runners as r")
        .execute(db.pool())
        .await
        .unwrap();
    soon(begins.recv()).await;
    // The first attempt ends first.
    gate.1.add_permits(1);
    let refused = format!("the lease on job {id} is lost");
    while soon(told.recv()).await != refused {}
    assert!(effects(db.pool()).await.is_empty());
    gate.1.add_permits(1);
    until(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!(effects(db.pool()).await, [id]);
}

#[tokio::test]
async fn an_attempt_whose_job_was_cancelled_commits_nothing() {
    let db = queue().await;
    tables(db.pool()).await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (tell, mut told) = mpsc::unbounded_channel();
    let gate: Gate = std::sync::Arc::new((begun, tokio::sync::Semaphore::new(0)));
    let mut registry = JobRegistry::new(&[waits]);
    registry
        .set_context(std::sync::Arc::clone(&gate))
        .set_error_handler(move |_, error| drop(tell.send(error.to_string())));
    let mut handle = fast(registry.runner(db.pool())).await;
    let id = waits.builder().spawn(db.pool()).await.unwrap();
    soon(begins.recv()).await;
    sqlxmq::cancel(db.pool(), &[id]).await.unwrap();
    gate.1.add_permits(1);
    let refused = format!("the lease on job {id} is lost");
    while soon(told.recv()).await != refused {}
    handle.stop().await;
    assert_eq!(state(db.pool(), id).await, "");
    assert!(effects(db.pool()).await.is_empty());
}

#[job("completes twice", retries = 0)]
async fn completes_twice(job: &mut CurrentJob, tx: &mut JobTx) -> Result<(), BoxError> {
    sqlx::query("insert into effects values ($1, 'once')")
        .bind(job.id())
        .execute(&mut **tx)
        .await?;
    let refused = job.complete().await;
    assert!(
        matches!(refused, Err(CompleteError::InJobTx { .. })),
        "{refused:?}"
    );
    let mut other = job.pool().begin().await?;
    sqlx::query("insert into effects values ($1, 'twice')")
        .bind(job.id())
        .execute(&mut *other)
        .await?;
    let refused = job.complete_with_transaction(other).await;
    assert!(
        matches!(refused, Err(CompleteError::InJobTx { .. })),
        "{refused:?}"
    );
    Ok(())
}

type AnAlias = CurrentJob;

#[job("owns", retries = 0)]
async fn owns(mut job: AnAlias, tx: &mut JobTx) -> Result<(), BoxError> {
    sqlx::query("insert into effects values ($1, 'owned')")
        .bind(job.id())
        .execute(&mut **tx)
        .await?;
    Ok(job.complete().await?)
}

#[tokio::test]
async fn a_job_with_a_transaction_is_completed_by_it_and_not_beside_it() {
    let db = queue().await;
    tables(db.pool()).await;
    let mut handle = run(db.pool(), &[completes_twice, owns]).await;
    let id = completes_twice.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "").await;
    assert_eq!(effects(db.pool()).await, [id]);
    // What the macro can't see, because the job has another name: it is refused when it completes.
    let owned = owns.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), owned, "dead").await;
    handle.stop().await;
    let seen = errors(db.pool(), owned).await;
    assert!(seen[0].contains("is completed with its `JobTx`"), "{seen:?}");
    assert_eq!(effects(db.pool()).await, [id]);
}

/// Tells what it was shown at the end.
struct Told {
    number: u8,
    tell: mpsc::UnboundedSender<String>,
}

impl LendToJob for Told {
    type Error = BoxError;

    async fn begin(input: &JobInput<'_>) -> Result<Self, BoxError> {
        Ok(Self {
            number: 1,
            tell: input.context(),
        })
    }

    async fn finish(self, end: &mut JobEnd) -> Result<(), BoxError> {
        let ended = end
            .error()
            .map_or(format!("{:?}", end.outcome()), ToString::to_string);
        let _ = self.tell.send(format!("{} {ended}", self.number));
        match self.number {
            13 => Err("unlucky".into()),
            _ => Ok(()),
        }
    }

    fn needs(needs: &mut sqlxmq::ContextNeeds<'_>) {
        needs.context::<mpsc::UnboundedSender<String>>();
    }
}

#[job("is told", retries = 0)]
async fn is_told(one: &mut Told, Json(number): Json<u8>, other: &mut Told) -> Result<(), BoxError> {
    one.number = number;
    other.number = 100;
    match number {
        0 => Err("zero".into()),
        255 => panic!("too much"),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn what_is_lent_is_finished_after_the_function_the_last_one_first() {
    let db = queue().await;
    let (tell, mut told) = mpsc::unbounded_channel::<String>();
    let mut registry = JobRegistry::new(&[is_told]);
    registry.set_context(tell).set_error_handler(|_, _| {});
    let mut handle = fast(registry.runner(db.pool())).await;
    for (number, ended, expected) in [
        (7, "", &["100 Some(Done)", "7 Some(Done)"][..]),
        (0, "dead", &["100 zero", "0 zero"]),
        (13, "dead", &["100 Some(Done)", "13 Some(Done)"]),
        (255, "dead", &[]),
    ] {
        let id = is_told.builder(&number).spawn(db.pool()).await.unwrap();
        until(db.pool(), id, ended).await;
        for expected in expected {
            assert_eq!(soon(told.recv()).await, *expected);
        }
        assert!(told.try_recv().is_err());
        if number == 13 {
            assert_eq!(errors(db.pool(), id).await, ["unlucky"]);
        }
    }
    handle.stop().await;
}

#[tokio::test]
async fn a_runner_refuses_to_start_without_the_context_of_what_is_lent() {
    let pool = PgPool::connect_lazy("postgres://nobody@localhost:1/nothing").expect("a valid address");
    let error = JobRegistry::new(&[is_told])
        .runner(&pool)
        .run()
        .await
        .expect_err("it cannot start");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert!(source.is_some_and(|text| text.contains("UnboundedSender") && text.contains("is told")));
}
