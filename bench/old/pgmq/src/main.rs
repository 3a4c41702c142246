//! pgmq, measured: the SQL that its crate embeds (1.11), called as its documentation shows.
//!
//! It has no runner, so this is the usual loop: read a batch, handle it, delete it by one statement. `pop` would be cheaper and loses
//! what a crash interrupts. Batches of 1,000 by two connections a process: `PGMQ_BATCH` and `PGMQ_CONSUMERS` try others. It has neither
//! retries, order across a batch, nor channels: without these it is measured, and what asks for them is left out.
//!
//! In an idle queue it is woken by `enable_notify_insert` (docs/api/sql/functions.md), throttled by nothing; elsewhere it polls
//! every 5 ms, because the trigger makes every insert dearer.

use anyhow::Result;
use harness::{Handler, NewJob, Options, Queue};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "bench";
const BATCH: i32 = 1_000;
const CONSUMERS: usize = 2;

const READ: &str = "select msg_id, message::text from pgmq.read($1, 30, $2)";
/// Between two reads of an empty queue. From here and not by `read_with_poll`, whose loop once sat out its five seconds in the
/// middle of a drain.
const PAUSE: Duration = Duration::from_millis(5);

struct Pgmq {
    pool: PgPool,
}

impl Pgmq {
    /// Reads, handles and deletes one batch; returns whether there was any.
    async fn consume(&self, handler: &Handler) -> Result<bool> {
        let messages: Vec<(i64, String)> = sqlx::query_as(READ)
            .bind(QUEUE)
            .bind(batch())
            .fetch_all(&self.pool)
            .await?;
        if messages.is_empty() {
            return Ok(false);
        }
        let mut ids = Vec::with_capacity(messages.len());
        for (id, message) in &messages {
            handler.start(Some(message));
            ids.push(*id);
        }
        sqlx::query("select count(*) from pgmq.delete($1, $2)")
            .bind(QUEUE)
            .bind(ids)
            .execute(&self.pool)
            .await?;
        Ok(true)
    }

    async fn consume_when_told(&self, handler: &Handler) -> Result<()> {
        sqlx::query("select pgmq.enable_notify_insert($1, 0)")
            .bind(QUEUE)
            .execute(&self.pool)
            .await?;
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(&format!("pgmq.q_{QUEUE}.INSERT")).await?;
        loop {
            while self.consume(handler).await? {}
            // As everybody else: a second, in case that a message became visible without an insert.
            let _ = tokio::time::timeout(Duration::from_secs(1), listener.recv()).await;
        }
    }
}

fn batch() -> i32 {
    std::env::var("PGMQ_BATCH")
        .ok()
        .and_then(|batch| batch.parse().ok())
        .unwrap_or(BATCH)
}

fn consumers() -> usize {
    std::env::var("PGMQ_CONSUMERS")
        .ok()
        .and_then(|batch| batch.parse().ok())
        .unwrap_or(CONSUMERS)
}

impl Queue for Pgmq {
    const STILL_RUNNING: &'static str = "select exists (select from pgmq.q_bench where read_ct > 0)";

    fn check(options: &Options) -> Result<(), &'static str> {
        options.asks_for_plain_jobs()
    }

    async fn connect(options: &Options) -> Result<Self> {
        let connections = u32::try_from(options.producers + consumers())?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .connect_with(PgConnectOptions::from_str(&options.url)?)
            .await?;
        Ok(Self { pool })
    }

    async fn install(&self) -> Result<()> {
        pgmq::install::install_sql_from_embedded(&self.pool).await?;
        sqlx::query("select pgmq.create($1)")
            .bind(QUEUE)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn spawn(&self, job: NewJob<'_>) -> Result<()> {
        sqlx::query("select pgmq.send($1, $2::text::jsonb, $3)")
            .bind(QUEUE)
            .bind(job.payload.unwrap_or("{}"))
            .bind(i32::try_from(job.delay.as_secs())?)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn spawn_all(&self, jobs: &[NewJob<'_>]) -> Result<()> {
        let messages: Vec<&str> = jobs.iter().map(|job| job.payload.unwrap_or("{}")).collect();
        let delay = jobs.first().map_or(0, |job| job.delay.as_secs());
        sqlx::query("select count(*) from pgmq.send_batch($1, $2::text[]::jsonb[], $3)")
            .bind(QUEUE)
            .bind(messages)
            .bind(i32::try_from(delay)?)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn run(&self, options: &Options, handler: Handler, stop: CancellationToken) -> Result<()> {
        if options.idle {
            return self.consume_when_told(&handler).await;
        }
        let mut tasks = JoinSet::new();
        for _ in 0..consumers() {
            let (this, handler) = (
                Self {
                    pool: self.pool.clone(),
                },
                handler.clone(),
            );
            tasks.spawn(async move {
                loop {
                    if !this.consume(&handler).await? {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            Some(ended) = tasks.join_next() => ended?,
        }
    }
}

fn main() {
    harness::main::<Pgmq>()
}
