//! A runner process: does the jobs, until it is let go or killed.

use super::kind::{Kind, LOOSE_STEP};
use super::ledger;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlxmq::{Checkpoint, CurrentJob, JobRegistry, NamedJob, job};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// The lease of all runners.
pub const LEASE: Duration = Duration::from_secs(2);
const MIN_CONCURRENCY: usize = 4;
const MAX_CONCURRENCY: usize = 8;

/// After this a job gives up on a statement of its own: nothing else would notice a connection that is half open.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a job is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Task {
    /// What it does.
    pub kind: Kind,
    /// How long it works.
    pub work_ms: u64,
    /// The steps whose effects are there: told by the checkpoint.
    pub steps_done: i32,
}

/// The job that a task is spawned as.
pub fn job_of(kind: Kind) -> &'static NamedJob {
    match kind {
        Kind::Checkpointed => chaos_checkpointed,
        Kind::Loose => chaos_loose,
        _ => chaos_effect,
    }
}

/// The arguments of a process that this program starts.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the database is.
    #[arg(long)]
    url: String,
}

/// Runs jobs until standard input ends.
pub fn run(arguments: &Arguments) -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    // Panics are what some jobs are for.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if !text.contains("as planned") {
            eprintln!("{text}");
        }
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(work(&arguments.url));
    // Connections that are half open must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn work(url: &str) -> Result<()> {
    let pool = pool(url, MAX_CONCURRENCY as u32)?;
    let mut registry = JobRegistry::new(&[chaos_effect, chaos_checkpointed, chaos_loose]);
    registry.set_error_handler(|_, _| {});
    let mut let_go = std::pin::pin!(input_ends());
    let mut options = registry.runner(&pool);
    options
        .set_concurrency(MIN_CONCURRENCY, MAX_CONCURRENCY)
        .set_lease(LEASE)
        .set_grace(Duration::from_secs(10));
    let mut handle = loop {
        tokio::select! {
            // Dropped before it returns, nothing runs.
            started = options.run() => match started {
                Ok(handle) => break handle,
                Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(error).context("a runner does not start"),
            },
            // Watches for an end: loses nothing.
            () = &mut let_go => return Ok(()),
        }
    };
    tokio::select! {
        // As above.
        () = &mut let_go => {}
        // The handle can be asked again.
        reason = handle.finished() => bail!("a runner ended by itself: {reason}"),
    }
    handle.stop().await;
    Ok(())
}

/// How long a connection may take to be found, opened, or given back.
const SOON: Duration = Duration::from_secs(2);

/// Connections that the server gives up on when their transactions rest, as one does whose client is half gone, and that are
/// looked at when they are given back: a `begin` that was given up halfway has begun all the same, and sqlx would wait for ever
/// for one that is half open.
pub fn pool(url: &str, size: u32) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("chaos").options([
        ("idle_in_transaction_session_timeout", "10s"),
        ("statement_timeout", "10s"),
        ("client_min_messages", "error"),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(SOON)
        .after_release(|connection, _| {
            Box::pin(async move {
                let rolled_back = sqlx::raw_sql("rollback").execute(connection);
                match tokio::time::timeout(SOON, rolled_back).await {
                    Ok(answer) => answer.map(|_| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
        .connect_lazy_with(options))
}

/// Returns when whoever started this process has let go of it, or is gone.
pub async fn input_ends() {
    let mut nothing = Vec::new();
    // An error is an end as well.
    let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
}

/// Gives up on what takes too long.
pub async fn patiently<T, E>(what: impl Future<Output = Result<T, E>>) -> Result<T>
where
    anyhow::Error: From<E>,
{
    Ok(tokio::time::timeout(PATIENCE, what)
        .await
        .context("it takes too long")??)
}

#[job(name = "chaos.effect")]
async fn chaos_effect(mut job: CurrentJob) -> Result<()> {
    let task = begin(&job).await?;
    match (task.kind, job.attempt()) {
        (Kind::Doomed, _) | (Kind::Failing, 1 | 2) => bail!("failed as planned"),
        (Kind::Panicking, 1) => panic!("panicked as planned"),
        _ => {}
    }
    let mut transaction = patiently(job.pool().begin()).await?;
    patiently(ledger::leave_effect(&mut transaction, &job, 1)).await?;
    rest(task.work_ms / 2).await;
    Ok(job.complete_with_transaction(transaction).await?)
}

#[job(name = "chaos.checkpointed")]
async fn chaos_checkpointed(mut job: CurrentJob) -> Result<()> {
    let task = begin(&job).await?;
    if task.steps_done == 0 {
        let mut transaction = patiently(job.pool().begin()).await?;
        patiently(ledger::leave_effect(&mut transaction, &job, 1)).await?;
        let mut checkpoint = Checkpoint::new();
        checkpoint.set_extra_retries(1).set_json(&Task {
            steps_done: 1,
            ..task
        })?;
        job.checkpoint_with_transaction(transaction, &checkpoint).await?;
        if task.work_ms.is_multiple_of(3) {
            bail!("failed as planned, behind a checkpoint");
        }
    }
    let mut transaction = patiently(job.pool().begin()).await?;
    patiently(ledger::leave_effect(&mut transaction, &job, 2)).await?;
    Ok(job.complete_with_transaction(transaction).await?)
}

#[job(name = "chaos.loose")]
async fn chaos_loose(mut job: CurrentJob) -> Result<()> {
    begin(&job).await?;
    let mut connection = patiently(job.pool().acquire()).await?;
    patiently(ledger::leave_effect(&mut connection, &job, LOOSE_STEP)).await?;
    drop(connection);
    Ok(job.complete().await?)
}

/// Notes the start, and works.
async fn begin(job: &CurrentJob) -> Result<Task> {
    let task: Task = job.json()?.context("a job without a task")?;
    patiently(ledger::note_start(job.pool(), job)).await?;
    rest(task.work_ms / 2).await;
    Ok(task)
}

async fn rest(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
