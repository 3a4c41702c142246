//! apalis-postgres, measured.
//!
//! Batches of 500 and as much concurrency, without a lock per task (the batch is locked by the fetch; its own tests switch it off too). In an
//! idle queue it is woken by its listener, elsewhere it polls every 5 ms.

use anyhow::{Context, Result};
use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage, Pubsub};
use harness::{Handler, NewJob, Options, Queue};
use serde_json::Value;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "bench";
const BATCH: usize = 500;
/// For fetches, acknowledgements and the heartbeat.
const WORKER_CONNECTIONS: u32 = 10;

struct Apalis {
    pool: PgPool,
}

fn task(job: NewJob<'_>) -> apalis_postgres::PgTask {
    let payload = job.payload.unwrap_or("{}").as_bytes().to_vec();
    match job.delay {
        Duration::ZERO => TaskBuilder::new(payload).build(),
        delay => TaskBuilder::new(payload).run_after(delay).build(),
    }
}

impl Queue for Apalis {
    const STILL_RUNNING: &'static str =
        "select exists (select from apalis.jobs where status in ('Queued', 'Running'))";

    fn check(options: &Options) -> Result<(), &'static str> {
        options.asks_for_plain_jobs()
    }

    async fn connect(options: &Options) -> Result<Self> {
        let connections = u32::try_from(options.producers)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections + WORKER_CONNECTIONS)
            .min_connections(connections)
            .connect_with(PgConnectOptions::from_str(&options.url)?)
            .await?;
        Ok(Self { pool })
    }

    async fn install(&self) -> Result<()> {
        PostgresStorage::setup(&self.pool).await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        self.spawn_all(&[job]).await
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let tasks = jobs.iter().map(|&job| task(job)).collect();
        let mut connection = self.pool.acquire().await?;
        apalis_postgres::queries::push_tasks(&mut *connection, QUEUE, tasks).await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        let concurrency = options.concurrency.unwrap_or(BATCH);
        let config = Config::default()
            .queue(QUEUE)
            .batch_size(concurrency)
            .lock_tasks(false);
        let storage = PostgresStorage::new(&self.pool).with_config(config);
        let name = format!("worker-{}", std::process::id());
        // Listening costs a trigger nothing more: the migrations install it for everybody.
        let wakes = match options.idle {
            true => Strategy::new().stream(Pubsub::new(self.pool.clone(), QUEUE.to_owned())),
            false => Strategy::new().interval(Duration::from_millis(5)),
        };
        let worker = WorkerBuilder::new(name.as_str())
            .backend(storage.poll_with_strategy(wakes))
            .data(handler)
            .concurrency(concurrency)
            .build(noop);
        tokio::select! {
            ended = worker.run() => ended.context("the worker ended"),
            () = stop.cancelled() => Ok(()),
        }
    }
}

async fn noop(payload: Value, handler: Data<Handler>) -> Result<(), BoxDynError> {
    let payload = handler.reads_payload().then(|| payload.to_string());
    handler.start(payload.as_deref());
    Ok(())
}

fn main() {
    harness::main::<Apalis>()
}
