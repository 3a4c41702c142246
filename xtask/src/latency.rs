//! `cargo xtask latency`: how soon a job starts in an idle system, here and in the published 0.6.0, measured in turn
//! on one server with durable settings.

use crate::{shell, surface::OLD};
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, process::Command, time::Duration};

#[path = "../../crates/sqlxmq/tests/surface/latency.rs"]
#[allow(
    clippy::disallowed_methods,
    reason = "the same source measures 0.6.0, which has no task tracker"
)]
mod program;

/// Measure how soon a job starts in an idle system, against 0.6.0
#[derive(clap::Args)]
pub struct Arguments {
    /// Rounds; each measures both versions.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Jobs per version and round.
    #[arg(long, default_value_t = 40)]
    jobs: usize,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let old = build_old()?;
    let server = devpg::DevPg::builder()
        .setting("fsync", "on")
        .setting("synchronous_commit", "on")
        .setting("full_page_writes", "on")
        .start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut ours_medians, mut theirs_medians) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        runtime.block_on(create_databases(&server.url("postgres"), round))?;
        let (new_url, old_url) = (
            server.url(&format!("new_{round}")),
            server.url(&format!("old_{round}")),
        );
        let measured = runtime.block_on(measure_ours(&new_url, arguments.jobs))?;
        ours_medians.push(quantile(&measured, 0.5));
        ours.extend(measured);
        let measured = measure_old(&old, &old_url, arguments.jobs)?;
        theirs_medians.push(quantile(&measured, 0.5));
        theirs.extend(measured);
    }
    println!(
        "from the return of spawn to the start of the job, {} jobs each",
        ours.len()
    );
    println!("{:<14} {:>9} {:>9}", "", "median", "p99");
    for (name, latencies) in [("this version", &ours), ("sqlxmq 0.6.0", &theirs)] {
        let (median, p99) = (quantile(latencies, 0.5), quantile(latencies, 0.99));
        println!("{name:<14} {median:>9.1?} {p99:>9.1?}");
    }
    let ratios: Vec<String> = ours_medians
        .iter()
        .zip(&theirs_medians)
        .map(|(ours, theirs)| format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64()))
        .collect();
    println!("ratio of the medians, round by round: {}", ratios.join(" "));
    let median = quantile(&ours, 0.5);
    if median > Duration::from_millis(10) || median >= quantile(&theirs, 0.5) {
        bail!("a job is to start within 10 ms at the median, and sooner than with 0.6.0");
    }
    Ok(())
}

fn build_old() -> Result<PathBuf> {
    let target = shell::target_dir().join("surface-old");
    let mut build = shell::cargo("build --quiet --manifest-path");
    build.arg(shell::root().join(OLD).join("Cargo.toml"));
    build.env("CARGO_TARGET_DIR", &target);
    // Like against like.
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    if profile == "release" {
        build.arg("--release");
    }
    if !build.status()?.success() {
        bail!("the package in {OLD} does not build");
    }
    Ok(target.join(profile).join("surface_old"))
}

async fn create_databases(url: &str, round: usize) -> Result<()> {
    let pool = sqlx::PgPool::connect(url).await?;
    for name in ["new", "old"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}_{round}")))
            .execute(&pool)
            .await?;
    }
    pool.close().await;
    Ok(())
}

async fn measure_ours(url: &str, jobs: usize) -> Result<Vec<Duration>> {
    let pool = sqlx::PgPool::connect(url).await?;
    sqlxmq::migrate(&pool).await?;
    let latencies = program::measure(&pool, jobs)
        .await
        .map_err(anyhow::Error::from_boxed)?;
    pool.close().await;
    Ok(latencies)
}

fn measure_old(program: &PathBuf, url: &str, jobs: usize) -> Result<Vec<Duration>> {
    let output = Command::new(program)
        .args(["latency", &jobs.to_string()])
        .env("DATABASE_URL", url)
        .output()
        .with_context(|| format!("failed to run {}", program.display()))?;
    if !output.status.success() {
        bail!("0.6.0: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| Ok(Duration::from_micros(line.parse()?)))
        .collect()
}

fn quantile(latencies: &[Duration], quantile: f64) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    sorted[((sorted.len() - 1) as f64 * quantile).round() as usize]
}
