//! awa, measured.
//!
//! The settings are those of its benchmark of no-op jobs (`docs/benchmarking.md` in its repository, `tests/benchmark_test.rs` in the crate):
//! 1,024 workers, which give it four tasks that complete, one claimer that takes 512 at a time, a poll every 50 ms. Jobs have no deadline:
//! with one each claim is a row and writes 15 times as much, and what a crash interrupts is found by the heartbeat either way. An idle
//! queue keeps the defaults: it is woken by NOTIFY, and polls every 200 ms.
//!
//! The queue has four shards, which is the first thing that its documentation advises for a hot one (`docs/configuration.md`); order is then
//! kept within a shard only. Jobs are stored by COPY, as it advises too, single ones among them: `insert_with`, which its guide begins
//! with and which alone can be part of somebody's transaction, costs the server nearly twice as much.

use anyhow::Result;
use awa::{
    Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig,
    migrations,
};
use harness::{Handler, NewJob, Options, Queue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{future, str::FromStr, time::Duration};
use tokio::{runtime::Handle, task::block_in_place};
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "bench";
const SHARDS: i16 = 4;
const MAX_WORKERS: u32 = 1_024;
/// For claims, completions, two listeners, the heartbeat and the leader's chores.
const WORKER_CONNECTIONS: u32 = 20;

#[derive(Deserialize, JobArgs, Serialize)]
#[serde(transparent)]
struct Noop(Value);

struct Awa {
    pool: PgPool,
    storage: QueueStorage,
}

fn params(job: NewJob<'_>) -> Result<InsertParams> {
    let run_at = match job.delay {
        Duration::ZERO => None,
        delay => Some(chrono::Utc::now() + chrono::Duration::from_std(delay)?),
    };
    Ok(InsertParams {
        kind: Noop::kind().to_owned(),
        args: serde_json::from_str(job.payload.unwrap_or("{}"))?,
        opts: InsertOpts {
            queue: QUEUE.to_owned(),
            run_at,
            ..InsertOpts::default()
        },
    })
}

impl Queue for Awa {
    /// Whether more attempts have begun than ended. It notes both, one by one or many in a row, and truncates them together.
    const STILL_RUNNING: &'static str = "select
      (select count(*) from awa.lease_claims)
        + (select coalesce(sum(claimed_count), 0) from awa.lease_claim_batches)
      > (select count(*) from awa.lease_claim_closures)
        + (select coalesce(sum(closed_count), 0) from awa.lease_claim_closure_batches)";

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
        let storage = QueueStorage::new(QueueStorageConfig::default())?;
        Ok(Self { pool, storage })
    }

    async fn install(&self) -> Result<()> {
        // Its future is not `Send`.
        block_in_place(|| Handle::current().block_on(migrations::run(&self.pool)))?;
        // Makes the storage of 0.6 the one in use, as else the first worker does when it starts.
        self.storage.install(&self.pool).await?;
        sqlx::query("insert into awa.queue_meta (queue, enqueue_shards) values ($1, $2)")
            .bind(QUEUE)
            .bind(SHARDS)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        self.spawn_all(&[job]).await
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let jobs = jobs.iter().map(|&job| params(job)).collect::<Result<Vec<_>>>()?;
        self.storage.enqueue_params_copy(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        let settings = match options.idle {
            true => QueueConfig::default(),
            false => QueueConfig {
                max_workers: MAX_WORKERS,
                poll_interval: Duration::from_millis(50),
                ..QueueConfig::default()
            },
        };
        let max_workers = match options.concurrency {
            None => settings.max_workers,
            Some(concurrency) => u32::try_from(concurrency)?,
        };
        let settings = QueueConfig {
            max_workers,
            deadline_duration: Duration::ZERO,
            ..settings
        };
        let client = Client::builder(self.pool.clone())
            .queue(QUEUE, settings)
            .register::<Noop, _, _>(move |Noop(payload), _| {
                let payload = handler.reads_payload().then(|| payload.to_string());
                handler.start(payload.as_deref());
                future::ready(Ok(JobResult::Completed))
            })
            .build()?;
        client.start().await?;
        stop.cancelled().await;
        Ok(())
    }
}

fn main() {
    harness::main::<Awa>()
}
