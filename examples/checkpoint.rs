//! Imports six pages in one job and is killed half-way, with SIGKILL: the next worker goes on after the last
//! checkpoint, and every page is there exactly once.
//!
//! The program starts itself as its own workers: `checkpoint worker <number>`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlxmq::{Checkpoint, CurrentJob, job, registry};

mod support;

const PAGES: i32 = 6;

/// How far the import has come; the payload of the next attempt.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    pages_done: i32,
}

/// Which worker this is. The first one is slow on page 4.
#[derive(Clone, Copy)]
struct Worker(u32);

#[job(backoff_secs = 0.1)]
async fn import(mut current_job: CurrentJob, Worker(worker): Worker) -> anyhow::Result<()> {
    let mut progress: Progress = current_job.json()?.unwrap_or_default();
    println!("worker {worker}: {} pages are done", progress.pages_done);
    while progress.pages_done < PAGES {
        let page = progress.pages_done + 1;
        let mut tx = current_job.pool().begin().await?;
        sqlx::query("insert into example_pages (page) values ($1)")
            .bind(page)
            .execute(&mut *tx)
            .await?;
        if worker == 1 && page == 4 {
            println!("worker 1: in the middle of page 4");
            std::future::pending::<()>().await;
        }
        // The page and the note that it is done are one commit.
        progress.pages_done = page;
        let mut checkpoint = Checkpoint::new();
        checkpoint.set_json(&progress)?;
        current_job.checkpoint_with_transaction(tx, &checkpoint).await?;
        println!("worker {worker}: page {page} is done");
    }
    current_job.complete().await?;
    println!("worker {worker}: the import is complete");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(2) {
        Some(number) => work(Worker(number.parse()?)).await,
        None => direct().await,
    }
}

/// Runs jobs until the parent is gone.
async fn work(worker: Worker) -> anyhow::Result<ExitCode> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    let mut registry = registry();
    registry.set_context(worker);
    // The lease is how long a killed worker's jobs stay where they are: 30 s unless it is set.
    let _runner = registry
        .runner(&pool)
        .set_lease(Duration::from_secs(1))
        .run()
        .await?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(ExitCode::SUCCESS)
}

/// Spawns the job, kills its first worker, starts a second one, and counts the pages.
async fn direct() -> anyhow::Result<ExitCode> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    sqlx::raw_sql("drop table if exists example_pages; create table example_pages (page integer not null)")
        .execute(pool)
        .await?;
    let id = import.builder().spawn(pool).await?;

    let mut first = start(1, &database.url)?;
    relay_until(&mut first, "in the middle")?;
    first.kill()?;
    first.wait()?;
    println!("worker 1 was killed");

    let mut second = start(2, &database.url)?;
    relay_until(&mut second, "complete")?;
    support::finished(pool, &[id]).await?;
    // Its input ends, and so does the worker.
    drop(second.stdin.take());
    second.wait()?;

    let pages: Vec<i32> = sqlx::query_scalar("select page from example_pages order by page")
        .fetch_all(pool)
        .await?;
    println!("imported pages: {pages:?}");
    Ok(ExitCode::SUCCESS)
}

fn start(worker: u32, database_url: &str) -> anyhow::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["worker", &worker.to_string()])
        .env("DATABASE_URL", database_url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start a worker")
}

/// Prints what the worker prints, up to the line that contains `end`.
fn relay_until(worker: &mut Child, end: &str) -> anyhow::Result<()> {
    let output = worker.stdout.take().context("the worker's output is read once")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if line.contains(end) {
            return Ok(());
        }
    }
    anyhow::bail!("the worker ended before `{end}`")
}
