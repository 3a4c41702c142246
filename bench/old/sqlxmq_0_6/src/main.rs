//! The published sqlxmq 0.6.0, measured.
//!
//! It has no way to spawn many jobs in one statement: a batch is one transaction. Concurrency 50 to 100: each poll groups all that waits, so
//! large claims are its only remedy, and each completion takes a connection of the pool.

use anyhow::Result;
use harness::{Completion, Handler, NewJob, Options, Queue};
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use sqlxmq::{CurrentJob, JobBuilder, JobRegistry, job};
use std::{error::Error, path::Path, str::FromStr};
use tokio_util::sync::CancellationToken;

/// For completions, beside those that spawn.
const RUNNER_CONNECTIONS: u32 = 20;
const CONCURRENCY: usize = 100;

#[job(name = "noop")]
async fn noop(mut job: CurrentJob, handler: Handler) -> Result<(), Box<dyn Error + Send + Sync>> {
    handler.start(job.raw_json());
    job.complete().await?;
    Ok(())
}

struct Old {
    pool: PgPool,
}

fn builder(job: NewJob<'_>) -> JobBuilder<'_> {
    let mut builder = JobBuilder::new("noop");
    builder
        .set_channel_name(if job.foreign { "foreign" } else { "bench" })
        .set_channel_args(job.channel)
        .set_ordered(job.ordered)
        .set_delay(job.delay);
    if let Some(payload) = job.payload {
        builder.set_raw_json(payload);
    }
    builder
}

impl Queue for Old {
    // An attempt counts against the job when it is claimed, and a job that has ended is gone.
    const STILL_RUNNING: &'static str =
        "select exists (select from mq_msgs where attempts < 5 and id <> uuid_nil())";

    fn check(options: &Options) -> Result<(), &'static str> {
        match options.completion {
            Completion::Transaction => Err("not measured"),
            _ if options.grouped => Err("it has nothing that groups spawns"),
            _ => Ok(()),
        }
    }

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(u32::try_from(options.producers)? + RUNNER_CONNECTIONS)
            .min_connections(u32::try_from(options.producers)?)
            .connect_with(PgConnectOptions::from_str(&options.url)?)
            .await?;
        Ok(Self { pool })
    }

    async fn install(&self) -> Result<()> {
        let migrations = Path::new(env!("SQLXMQ_MIGRATIONS"));
        Migrator::new(migrations).await?.run(&self.pool).await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        builder(job).spawn(&self.pool).await?;
        Ok(())
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        for &job in jobs {
            builder(job).spawn(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        let mut registry = JobRegistry::new(&[noop]);
        registry.set_context(handler);
        let mut runner = registry.runner(&self.pool);
        let concurrency = options.concurrency.unwrap_or(CONCURRENCY);
        runner.set_concurrency(concurrency / 2, concurrency);
        if options.subscribe {
            runner.set_channel_names(&["bench"]);
        }
        let _runner = runner.run().await?;
        stop.cancelled().await;
        Ok(())
    }
}

fn main() {
    harness::main::<Old>()
}
