//! This repository's queue, measured.
//!
//! The settings are those that `docs/performance.md` recommends for many small jobs: room for 4,000 to 8,000 jobs at a time, so
//! that neither claims nor completions wait for each other.

use anyhow::{Context, Result};
use harness::{Completion, Handler, NewJob, Options, Queue};
use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use sqlxmq::{CurrentJob, JobBuilder, JobRegistry, NamedJob, Spawner, job, spawn_all};
use std::{error::Error, str::FromStr};
use tokio_util::sync::CancellationToken;

type JobResult = Result<(), Box<dyn Error + Send + Sync>>;

const CHANNEL_NAME: &str = "bench";
const FOREIGN_CHANNEL_NAME: &str = "foreign";
/// Jobs at a time where nothing else is asked for: the minimum is half of it.
const CONCURRENCY: usize = 8_000;

#[job(name = "completed_by_runner")]
async fn completed_by_runner(job: &mut CurrentJob, handler: Handler) -> JobResult {
    handler.start(job.raw_json());
    Ok(())
}

#[job(name = "completed_by_itself")]
async fn completed_by_itself(mut job: CurrentJob, handler: Handler) -> JobResult {
    handler.start(job.raw_json());
    job.complete().await?;
    Ok(())
}

#[job(name = "completed_in_transaction")]
async fn completed_in_transaction(mut job: CurrentJob, handler: Handler) -> JobResult {
    let mut transaction = job.pool().begin().await?;
    sqlx::query("insert into bench_effects (effect) values ($1)")
        .bind("an effect of the job")
        .execute(&mut *transaction)
        .await?;
    handler.start(job.raw_json());
    job.complete_with_transaction(transaction).await?;
    Ok(())
}

struct Sqlxmq {
    pool: PgPool,
    /// If spawns are grouped.
    spawner: Option<Spawner>,
    name: &'static str,
}

fn job_of(completion: Completion) -> &'static NamedJob {
    match completion {
        Completion::Runner => completed_by_runner,
        Completion::Explicit => completed_by_itself,
        Completion::Transaction => completed_in_transaction,
    }
}

fn builder<'a>(name: &'a str, new: NewJob<'a>) -> JobBuilder<'a> {
    let mut builder = JobBuilder::new(name);
    builder
        .set_channel_name(if new.foreign {
            FOREIGN_CHANNEL_NAME
        } else {
            CHANNEL_NAME
        })
        .set_channel_args(new.channel)
        .set_ordered(new.ordered)
        .set_delay(new.delay);
    if let Some(payload) = new.payload {
        builder.set_raw_json(payload);
    }
    builder
}

impl Queue for Sqlxmq {
    const STILL_RUNNING: &'static str = "select exists (select from mq_running)";

    fn check(_: &Options) -> Result<(), &'static str> {
        Ok(())
    }

    async fn connect(options: &Options) -> Result<Self> {
        // Jobs that complete in a transaction of their own have one connection each.
        let connections = options.producers.max(match options.completion {
            Completion::Transaction => options.concurrency.unwrap_or(1),
            _ => 1,
        });
        let connections = u32::try_from(connections)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .connect_with(PgConnectOptions::from_str(&options.url)?)
            .await?;
        Ok(Self {
            spawner: options.grouped.then(|| Spawner::new(&pool)),
            pool,
            name: job_of(options.completion).name(),
        })
    }

    async fn install(&self) -> Result<()> {
        sqlxmq::migrate(&self.pool).await?;
        self.pool
            .execute("create table bench_effects (id bigint generated always as identity primary key, effect text)")
            .await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        let job = builder(self.name, job);
        match &self.spawner {
            Some(spawner) => spawner.spawn(&job).await?,
            None => job.spawn(&self.pool).await?,
        };
        Ok(())
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let jobs: Vec<_> = jobs.iter().map(|&job| builder(self.name, job)).collect();
        spawn_all(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        let mut registry = JobRegistry::new(&[job_of(options.completion)]);
        registry.set_context(handler);
        let mut runner = registry.runner(&self.pool);
        let concurrency = options.concurrency.unwrap_or(CONCURRENCY);
        runner.set_concurrency((concurrency / 2).max(1), concurrency);
        if options.subscribe {
            runner.set_channel_names(&[CHANNEL_NAME]);
        }
        let mut runner = runner.run().await.context("failed to start the runner")?;
        stop.cancelled().await;
        runner.stop().await;
        Ok(())
    }
}

fn main() {
    harness::main::<Sqlxmq>()
}
