//! graphile_worker, measured.
//!
//! The settings are those of its own benchmark (`benches/perf_test.rs` in the crate): 500 at a time, a local queue of 5,000, completions
//! in batches of 5 ms. In an idle queue it fetches directly, as its guide has it for rare jobs (`docs/src/guides/local-queue.md`).

use anyhow::{Context, Result};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use harness::{Handler, NewJob, Options, Queue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tokio_util::sync::CancellationToken;

const SCHEMA: &str = "graphile_worker";
/// For the worker: claims, completions and the listener.
const WORKER_CONNECTIONS: u32 = 20;

#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
struct Noop(Value);

#[derive(Clone, Debug)]
struct Calls(Handler);

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(Calls(handler)) = context.get_ext::<Calls>() {
            let payload = handler.reads_payload().then(|| self.0.to_string());
            handler.start(payload.as_deref());
        }
        Ok::<(), String>(())
    }
}

struct GraphileWorker {
    pool: PgPool,
    utils: WorkerUtils,
}

fn payload(job: NewJob<'_>) -> Result<Value> {
    Ok(serde_json::from_str(job.payload.unwrap_or("{}"))?)
}

fn spec(job: NewJob<'_>) -> Result<JobSpec> {
    let run_at = match job.delay {
        Duration::ZERO => None,
        delay => Some(chrono::Utc::now() + chrono::Duration::from_std(delay)?),
    };
    Ok(JobSpec {
        run_at,
        ..JobSpec::default()
    })
}

impl Queue for GraphileWorker {
    const STILL_RUNNING: &'static str =
        "select exists (select from graphile_worker._private_jobs where locked_at is not null)";

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
        let utils = WorkerUtils::new(pool.clone(), SCHEMA);
        Ok(Self { pool, utils })
    }

    async fn install(&self) -> Result<()> {
        Ok(self.utils.migrate().await?)
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        self.utils
            .add_raw_job(Noop::IDENTIFIER, payload(job)?, spec(job)?)
            .await?;
        Ok(())
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let jobs = jobs.iter().map(|&job| {
            Ok(RawJobSpec {
                identifier: Noop::IDENTIFIER.to_owned(),
                payload: payload(job)?,
                spec: spec(job)?,
            })
        });
        self.utils
            .add_raw_jobs(&jobs.collect::<Result<Vec<_>>>()?)
            .await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        let worker = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema(SCHEMA)
            .listen_os_shutdown_signals(false)
            .add_extension(Calls(handler))
            .define_job::<Noop>();
        let worker = match options.idle {
            true => worker.concurrency(options.concurrency.unwrap_or(10)),
            false => worker
                .concurrency(options.concurrency.unwrap_or(500))
                .poll_interval(Duration::from_millis(5))
                .complete_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(5_000)),
        };
        let worker = worker.init().await?;
        tokio::select! {
            ended = worker.run() => ended.context("the worker ended"),
            () = stop.cancelled() => Ok(()),
        }
    }
}

fn main() {
    harness::main::<GraphileWorker>()
}
