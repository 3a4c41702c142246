//! A program that uses everything sqlxmq 0.6 offered, written so that it compiles and runs against 0.6.0 (with sqlx
//! 0.8) and against this version (with sqlx 0.9): `old/` holds the one, `../surface.rs` the other.
//!
//! It never names an error type and needs nothing but a pool on a database where the queue is installed and empty.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::{Pool, Postgres};
use sqlxmq::{
    Checkpoint, CurrentJob, JobBuilder, JobRegistry, JobRunnerHandle, JobRunnerOptions, NamedJob,
    OwnedHandle, UnknownJobError, clear, clear_all, commit, exists, job, should_retry,
};
use uuid::Uuid;

type BoxError = Box<dyn Error + Send + Sync + 'static>;
type Result<T = (), E = BoxError> = std::result::Result<T, E>;

/// What the jobs did, in the order in which they did it.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    async fn becomes(&self, expected: &[&str]) {
        for _ in 0..2_000 {
            if self.lines() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("expected {expected:?}, last seen {:?}", self.lines());
    }
}

/// Runs the whole program.
pub async fn run(pool: &Pool<Postgres>) -> Result {
    attribute_arguments_are_defaults()?;
    every_setter_and_every_way_to_spawn(pool).await?;
    context_payloads_and_order(pool).await?;
    errors_are_retried_and_handled(pool).await?;
    transactions_and_checkpoints(pool).await?;
    two_phase_commit(pool).await?;
    channels_are_chosen_and_cleared(pool).await?;
    a_closure_runs_jobs_of_any_name(pool).await?;
    test_one_runs_one(pool).await?;
    the_handle_counts_waits_and_stops(pool).await?;
    helpers(pool).await
}

fn for_mail<'a, 'b>(builder: &'a mut JobBuilder<'b>) -> &'a mut JobBuilder<'b> {
    builder.set_channel_name("mail").set_retries(7)
}

#[job(
    "first by position",
    proto(for_mail),
    retries = 3,
    backoff_secs = 1.5,
    ordered
)]
async fn positional(mut current_job: CurrentJob, log: Log) -> Result {
    log.add(current_job.name());
    current_job.complete().await?;
    Ok(())
}

#[job(
    name = "first by key",
    channel_name = "mail",
    backoff_secs = 2,
    ordered = true
)]
async fn keyed(mut current_job: CurrentJob, log: Log) -> Result<(), BoxError> {
    log.add(current_job.name());
    current_job.complete().await?;
    Ok(())
}

#[job(ordered = false, proto(for_mail))]
async fn unnamed(mut current_job: CurrentJob, log: Log) -> Result<(), BoxError> {
    log.add("unnamed");
    current_job.complete().await?;
    Ok(())
}

/// Jobs in a module, of other visibilities, one that returns its future.
pub mod more {
    use std::future::Future;
    use std::pin::Pin;

    use super::*;

    /// A documented job.
    #[job]
    pub fn returns_a_future(
        mut current_job: CurrentJob,
        log: Log,
        text: &'static str,
        number: u32,
    ) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'static>> {
        Box::pin(async move {
            log.add(format!("{text} {number}"));
            current_job.complete().await?;
            Ok(())
        })
    }
}

fn attribute_arguments_are_defaults() -> Result {
    let list: Vec<&'static NamedJob> = vec![positional, keyed, unnamed, more::returns_a_future];
    let names: Vec<&str> = list.iter().map(|job| job.name()).collect();
    assert_eq!(names[0], "first by position");
    assert_eq!(names[1], "first by key");
    assert_eq!(names[2], concat!(module_path!(), "::unnamed"));
    assert_eq!(names[3], concat!(module_path!(), "::more::returns_a_future"));
    Ok(())
}

async fn every_setter_and_every_way_to_spawn(pool: &Pool<Postgres>) -> Result {
    let id = Uuid::from_u128(6);
    let mut builder = JobBuilder::new_with_id(id, "nobody runs this");
    builder
        .set_proto(for_mail)
        .set_channel_name("elsewhere")
        .set_channel_args("key")
        .set_retries(2)
        .set_retry_backoff(Duration::from_millis(1500))
        .set_commit_interval(None)
        .set_ordered(true)
        .set_delay(Duration::from_secs(3600))
        .set_raw_json("{}")
        .set_raw_bytes(b"bytes")
        .set_json(&vec![1, 2])?;
    assert_eq!(builder.spawn(pool).await?, id);
    assert!(exists(pool, id).await?);

    let mut connection = pool.acquire().await?;
    let by_connection = JobBuilder::new("nobody runs this")
        .set_delay(HOUR)
        .spawn(&mut *connection)
        .await?;
    assert!(exists(&mut *connection, by_connection).await?);
    drop(connection);

    let mut transaction = pool.begin().await?;
    let rolled_back = keyed.builder().spawn(&mut *transaction).await?;
    assert!(exists(&mut *transaction, rolled_back).await?);
    transaction.rollback().await?;
    assert!(!exists(pool, rolled_back).await?);

    clear_all(pool).await?;
    assert!(!exists(pool, id).await?);
    assert!(!exists(pool, by_connection).await?);
    Ok(())
}

const HOUR: Duration = Duration::from_secs(3600);

#[job(channel_name = "payload")]
async fn reads_payload(mut current_job: CurrentJob, log: Log) -> Result<(), BoxError> {
    let number: Option<u32> = current_job.json()?;
    log.add(format!(
        "{} {number:?} {:?} {:?}",
        current_job.id().as_u128(),
        current_job.raw_json(),
        current_job.raw_bytes()
    ));
    current_job.complete().await?;
    Ok(())
}

#[job(ordered, channel_name = "line")]
async fn in_line(mut current_job: CurrentJob, log: Log) -> Result<(), BoxError> {
    log.add(current_job.json::<String>()?.unwrap_or_default());
    current_job.complete().await?;
    Ok(())
}

async fn context_payloads_and_order(pool: &Pool<Postgres>) -> Result {
    let log = Log::default();
    let mut registry = JobRegistry::new(&[reads_payload, in_line, more::returns_a_future]);
    registry
        .set_context(log.clone())
        .set_context("context")
        .set_context(6_u32);
    assert_eq!(registry.context::<&'static str>(), "context");
    assert_eq!(
        registry.resolve_job(in_line.name()).map(NamedJob::name),
        Some(in_line.name())
    );
    assert!(registry.resolve_job("nobody").is_none());
    let runner = registry.runner(pool).set_concurrency(2, 4).run().await?;

    reads_payload
        .builder_with_id(Uuid::from_u128(61))
        .spawn(pool)
        .await?;
    log.becomes(&["61 None None None"]).await;
    reads_payload
        .builder_with_id(Uuid::from_u128(62))
        .set_json(&7_u32)?
        .set_raw_bytes(&[1, 2])
        .spawn(pool)
        .await?;
    log.becomes(&["61 None None None", "62 Some(7) Some(\"7\") Some([1, 2])"])
        .await;
    log.0.lock().unwrap().clear();

    more::returns_a_future
        .builder()
        .set_delay(Duration::from_millis(100))
        .spawn(pool)
        .await?;
    log.becomes(&["context 6"]).await;
    log.0.lock().unwrap().clear();

    for number in ["1", "2", "3", "4"] {
        in_line
            .builder()
            .set_channel_args("a")
            .set_json(number)?
            .spawn(pool)
            .await?;
    }
    log.becomes(&["1", "2", "3", "4"]).await;
    drop(runner);
    Ok(())
}

#[derive(Debug)]
struct OwnError;

impl std::fmt::Display for OwnError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("own error")
    }
}

impl Error for OwnError {}

/// How often a job was tried.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<u32>>);

#[job(backoff_secs = 0.2)]
async fn fails_once(mut current_job: CurrentJob, attempts: Attempts, log: Log) -> Result<(), OwnError> {
    let attempt = {
        let mut attempts = attempts.0.lock().unwrap();
        *attempts += 1;
        *attempts
    };
    log.add(format!("attempt {attempt}"));
    if attempt == 1 {
        return Err(OwnError);
    }
    current_job.complete().await.map_err(|_| OwnError)
}

async fn errors_are_retried_and_handled(pool: &Pool<Postgres>) -> Result {
    let log = Log::default();
    let errors = Log::default();
    let mut registry = JobRegistry::new(&[fails_once]);
    registry.set_context(Attempts::default()).set_context(log.clone());
    registry.set_error_handler({
        let errors = errors.clone();
        move |name: &str, error: Box<dyn Error + Send>| errors.add(format!("{name}: {error}"))
    });
    let runner = registry.runner(pool).run().await?;
    fails_once.builder().set_retries(1).spawn(pool).await?;
    log.becomes(&["attempt 1", "attempt 2"]).await;
    errors
        .becomes(&[concat!(module_path!(), "::fails_once: own error")])
        .await;
    drop(runner);
    Ok(())
}

/// Goes through every checkpoint, each in an attempt of its own.
#[job(retries = 1, backoff_secs = 0.2)]
async fn goes_on(mut current_job: CurrentJob, log: Log) -> Result<(), BoxError> {
    let step: u32 = current_job.json()?.unwrap_or_default();
    log.add(format!("step {step}"));
    match step {
        0 => {
            let mut checkpoint = Checkpoint::new();
            checkpoint.set_extra_retries(1).set_json(&1)?;
            current_job.checkpoint(&checkpoint).await?;
            Err("no further today".into())
        }
        1 => {
            let mut transaction = current_job.pool().begin().await?;
            sqlx::query("insert into surface_effects values (1)")
                .execute(&mut *transaction)
                .await?;
            let mut checkpoint = Checkpoint::new_keep_alive(Duration::from_millis(100));
            checkpoint
                .set_extra_retries(1)
                .set_raw_json("2")
                .set_raw_bytes(b"two");
            current_job
                .checkpoint_with_transaction(transaction, &checkpoint)
                .await?;
            Err("no further today".into())
        }
        _ => {
            assert_eq!(current_job.raw_bytes(), Some(&b"two"[..]));
            current_job.keep_alive(Duration::from_secs(5)).await?;
            let mut transaction = current_job.pool().begin().await?;
            sqlx::query("insert into surface_effects values (2)")
                .execute(&mut *transaction)
                .await?;
            current_job.complete_with_transaction(transaction).await?;
            Ok(())
        }
    }
}

async fn transactions_and_checkpoints(pool: &Pool<Postgres>) -> Result {
    sqlx::query("create table surface_effects (step integer not null)")
        .execute(pool)
        .await?;
    let log = Log::default();
    let mut registry = JobRegistry::new(&[goes_on]);
    registry.set_context(log.clone()).set_error_handler(|_, _| ());
    let runner = registry.runner(pool).run().await?;
    let id = goes_on.builder().spawn(pool).await?;
    log.becomes(&["step 0", "step 1", "step 2"]).await;
    while exists(pool, id).await? {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let effects: Vec<i32> = sqlx::query_scalar("select step from surface_effects order by step")
        .fetch_all(pool)
        .await?;
    assert_eq!(effects, [1, 2]);
    drop(runner);
    Ok(())
}

async fn two_phase_commit(pool: &Pool<Postgres>) -> Result {
    let mut held = unnamed.builder();
    let id = held
        .set_commit_interval(Some(Duration::from_secs(60)))
        .spawn(pool)
        .await?;
    let abandoned = unnamed
        .builder()
        .set_commit_interval(Some(HOUR))
        .spawn(pool)
        .await?;
    commit(pool, &[id]).await?;

    let log = Log::default();
    let mut registry = JobRegistry::new(&[unnamed]);
    registry.set_context(log.clone());
    let runner = registry.runner(pool).run().await?;
    log.becomes(&["unnamed"]).await;
    assert!(exists(pool, abandoned).await?);
    drop(runner);
    clear_all(pool).await?;
    Ok(())
}

async fn channels_are_chosen_and_cleared(pool: &Pool<Postgres>) -> Result {
    let log = Log::default();
    let mut registry = JobRegistry::new(&[positional, keyed]);
    registry.set_context(log.clone());
    let runner = registry
        .runner(pool)
        .set_channel_names(&["mail", "post"])
        .set_keep_alive(true)
        .run()
        .await?;
    let foreign = positional.builder().set_channel_name("other").spawn(pool).await?;
    positional.builder().spawn(pool).await?;
    log.becomes(&["first by position"]).await;
    keyed.builder().set_channel_name("post").spawn(pool).await?;
    log.becomes(&["first by position", "first by key"]).await;
    assert!(exists(pool, foreign).await?);
    clear(pool, &["other", "nothing here"]).await?;
    assert!(!exists(pool, foreign).await?);
    drop(runner);
    Ok(())
}

async fn a_closure_runs_jobs_of_any_name(pool: &Pool<Postgres>) -> Result {
    let log = Log::default();
    let options = {
        let log = log.clone();
        JobRunnerOptions::new(pool, move |mut current_job: CurrentJob| {
            let log = log.clone();
            tokio::task::spawn(async move {
                log.add(current_job.name());
                current_job.complete().await.expect("the job is ours");
            });
        })
    };
    let runner: JobRunnerHandle = options.clone().run().await?;
    JobBuilder::new("any name").spawn(pool).await?;
    log.becomes(&["any name"]).await;
    drop(runner);
    Ok(())
}

async fn test_one_runs_one(pool: &Pool<Postgres>) -> Result {
    let log = Log::default();
    let mut registry = JobRegistry::new(&[unnamed]);
    registry.set_context(log.clone());
    unnamed.builder().spawn(pool).await?;
    registry.runner(pool).test_one().await?;
    log.becomes(&["unnamed"]).await;
    Ok(())
}

#[job]
async fn takes_a_while(mut current_job: CurrentJob, log: Log) -> Result<(), BoxError> {
    log.add("started");
    tokio::time::sleep(Duration::from_millis(300)).await;
    current_job.complete().await?;
    log.add("done");
    Ok(())
}

async fn the_handle_counts_waits_and_stops(pool: &Pool<Postgres>) -> Result {
    let log = Log::default();
    let mut registry = JobRegistry::new(&[takes_a_while]);
    registry.set_context(log.clone());
    let mut runner = registry.runner(pool).set_keep_alive(false).run().await?;
    takes_a_while.builder().spawn(pool).await?;
    log.becomes(&["started"]).await;
    assert_eq!(runner.num_running_jobs(), 1);
    runner.stop().await;
    runner.wait_jobs_finish(Duration::from_secs(10)).await;
    assert_eq!(runner.num_running_jobs(), 0);
    assert_eq!(log.lines(), ["started", "done"]);
    Ok(())
}

async fn helpers(pool: &Pool<Postgres>) -> Result {
    let failure = sqlx::query("select 1 / 0")
        .execute(pool)
        .await
        .expect_err("a division by zero");
    assert!(!should_retry(&failure));
    let raised = "do $$ begin raise exception using errcode = 'serialization_failure'; end $$";
    let failure = sqlx::query(raised)
        .execute(pool)
        .await
        .expect_err("an error on purpose");
    assert!(should_retry(&failure));

    let unknown: Box<dyn Error + Send> = Box::new(UnknownJobError);
    assert!(!unknown.to_string().is_empty());

    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let handle = OwnedHandle::new(tokio::task::spawn(async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    }));
    handle.stop().await;
    assert!(receiver.await.is_err());
    OwnedHandle::new(tokio::task::spawn(async {}))
        .into_inner()
        .await?;

    fn is_debug<T: Debug>() {}
    is_debug::<(
        JobBuilder<'_>,
        Checkpoint<'_>,
        CurrentJob,
        JobRunnerOptions,
        NamedJob,
        OwnedHandle,
    )>();
    Ok(())
}
