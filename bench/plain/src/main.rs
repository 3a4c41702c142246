//! The bounds: the same rows and the same transactions without a queue.
//!
//! Spawning one job is a plain INSERT of what the queue stores of it, in a table with the same columns and key; spawning many is a
//! COPY of such rows; a run is as many transactions as there are jobs, each with the effect of the transactional job and nothing else.
//! Waiting for one job at a time is listening: the INSERT notifies, and to be told is all.

use anyhow::Result;
use harness::{Completion, Handler, NewJob, Options, Queue};
use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::{
    fmt::Write,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const INSTALL: &str = "
  create table bench_jobs (
    id uuid primary key,
    name text not null,
    channel_name text not null,
    channel_args text not null,
    ordered boolean not null,
    max_attempts integer not null,
    backoff interval not null,
    max_backoff interval not null,
    spawned_at timestamptz not null,
    payload_json text,
    payload_bytes bytea
  );
  create table bench_effects (id bigint generated always as identity primary key, effect text)";

const INSERT: &str =
    "insert into bench_jobs values ($1, 'completed_by_runner', 'bench', $2, false, 5, '1 second', '1 hour',
  clock_timestamp(), $3, null)";

const NOTIFY: &str = "with told as (select pg_notify('bench_jobs', ''))
  insert into bench_jobs
  select $1, 'completed_by_runner', 'bench', $2, false, 5, '1 second', '1 hour', clock_timestamp(), $3, null
  from told";

struct Plain {
    pool: PgPool,
    insert: &'static str,
}

impl Plain {
    async fn listen(&self, handler: Handler) -> Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen("bench_jobs").await?;
        loop {
            listener.recv().await?;
            handler.start(None);
        }
    }
}

impl Queue for Plain {
    const STILL_RUNNING: &'static str = "select false";

    fn check(options: &Options) -> Result<(), &'static str> {
        match options.ordered || options.foreign || options.delay > 0 || options.grouped {
            true => Err("plain tables have no order, channels or delays, and nothing that groups spawns"),
            false => Ok(()),
        }
    }

    async fn connect(options: &Options) -> Result<Self> {
        let transactions = match options.completion {
            Completion::Transaction => options.concurrency.unwrap_or(1),
            _ => 1,
        };
        let connections = u32::try_from(options.producers.max(transactions) + usize::from(options.idle))?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .connect_with(PgConnectOptions::from_str(&options.url)?)
            .await?;
        let insert = if options.idle { NOTIFY } else { INSERT };
        Ok(Self { pool, insert })
    }

    async fn install(&self) -> Result<()> {
        self.pool.execute(INSTALL).await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        sqlx::query(self.insert)
            .bind(Uuid::now_v7())
            .bind(job.channel)
            .bind(job.payload)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let mut rows = String::new();
        for job in jobs {
            let payload = job.payload.unwrap_or(r"\N");
            writeln!(
                rows,
                "{}\tcompleted_by_runner\tbench\t{}\tf\t5\t1 second\t1 hour\t2026-01-01\t{payload}\t\\N",
                Uuid::now_v7(),
                job.channel
            )?;
        }
        let mut connection = self.pool.acquire().await?;
        let mut copy = connection.copy_in_raw("copy bench_jobs from stdin").await?;
        copy.send(rows.as_bytes()).await?;
        copy.finish().await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        if options.idle {
            return self.listen(handler).await;
        }
        let (begun, count) = (Arc::new(AtomicUsize::new(0)), options.count);
        let mut tasks = JoinSet::new();
        for _ in 0..options.concurrency.unwrap_or(1) {
            let (pool, begun, handler) = (self.pool.clone(), Arc::clone(&begun), handler.clone());
            tasks.spawn(async move {
                while begun.fetch_add(1, Ordering::Relaxed) < count {
                    let mut transaction = pool.begin().await?;
                    sqlx::query("insert into bench_effects (effect) values ($1)")
                        .bind("an effect of the job")
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                    handler.start(None);
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        stop.cancelled().await;
        Ok(())
    }
}

fn main() {
    harness::main::<Plain>()
}
