//! River, by its Rust client, measured.
//!
//! Fetches as often as it allows (`fetch_cooldown`, whose documentation says that it limits throughput), 1,000 jobs at a time. River keeps
//! completed jobs for a day, so `STILL_RUNNING` asks for the state.

use anyhow::{Context, Result};
use harness::{Handler, NewJob, Options, Queue};
use jiff::{SignedDuration, Timestamp};
use riverqueue::{
    BoxError, Client, FETCH_COOLDOWN_MIN, InsertOpts, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome,
    Workers, migrate::PostgresMigrator,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tokio_util::sync::CancellationToken;

const MAX_WORKERS: usize = 1_000;
/// For fetches, completions, the leader's chores and the listener.
const CLIENT_CONNECTIONS: u32 = 10;

/// River wants an object.
#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "noop")]
struct Noop {
    #[serde(default, skip_serializing_if = "Value::is_null")]
    payload: Value,
}

struct River {
    pool: PgPool,
    inserter: Client,
}

fn args(job: NewJob<'_>) -> Result<Noop> {
    let payload = job
        .payload
        .map(serde_json::from_str)
        .transpose()?
        .unwrap_or(Value::Null);
    Ok(Noop { payload })
}

fn opts(job: NewJob<'_>) -> Result<InsertOpts> {
    Ok(match job.delay {
        Duration::ZERO => InsertOpts::default(),
        delay => InsertOpts::default().with_scheduled_at(Timestamp::now() + SignedDuration::try_from(delay)?),
    })
}

impl Queue for River {
    const STILL_RUNNING: &'static str = "select exists (select from river_job where state = 'running')";

    fn check(options: &Options) -> Result<(), &'static str> {
        options.asks_for_plain_jobs()
    }

    async fn connect(options: &Options) -> Result<Self> {
        let connections = u32::try_from(options.producers)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections + CLIENT_CONNECTIONS)
            .min_connections(connections)
            .connect_with(PgConnectOptions::from_str(&options.url)?)
            .await?;
        let inserter = Client::builder(pool.clone()).build()?;
        Ok(Self { pool, inserter })
    }

    async fn install(&self) -> Result<()> {
        PostgresMigrator::new(self.pool.clone()).migrate_up().await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        self.inserter.insert(args(job)?).opts(opts(job)?).await?;
        Ok(())
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let jobs = jobs.iter().map(|&job| Ok((args(job)?, opts(job)?)));
        self.inserter
            .insert_many(jobs.collect::<Result<Vec<_>>>()?)
            .await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        let mut workers = Workers::new();
        workers.add_fn(move |_: WorkContext, job: Job<Noop>| {
            let payload = handler.reads_payload().then(|| job.args.payload.to_string());
            handler.start(payload.as_deref());
            async { Ok::<_, BoxError>(WorkOutcome::Complete) }
        })?;
        let queue = QueueConfig::new(options.concurrency.unwrap_or(MAX_WORKERS));
        let client = Client::builder(self.pool.clone())
            .workers(workers)
            .fetch_cooldown(FETCH_COOLDOWN_MIN)
            .queue("default", queue)
            .build()?;
        let mut run = client.start()?;
        tokio::select! {
            ended = run.wait() => ended.context("the client ended"),
            () = stop.cancelled() => Ok(()),
        }
    }
}

fn main() {
    harness::main::<River>()
}
