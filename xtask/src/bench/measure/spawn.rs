//! Spawning a number of jobs.

use super::{installed, option};
use crate::bench::{case::Bench, child::Child, cost::Meter, results::Figures, site::Database};
use anyhow::{Context, Result, bail};
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// What is spawned, and how.
#[derive(Clone, Debug)]
pub struct Spawn {
    pub jobs: usize,
    pub producers: usize,
    pub batch: usize,
    pub channels: usize,
    pub payload: usize,
    /// More words for the command line.
    pub more: Vec<String>,
}

impl Spawn {
    /// As fast as it goes, to have something to measure with.
    pub fn backlog(jobs: usize) -> Self {
        Self {
            jobs,
            producers: 4,
            batch: 1_000,
            channels: 1,
            payload: 0,
            more: Vec::new(),
        }
    }

    pub fn channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    pub fn with(mut self, words: &str) -> Self {
        self.more.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    fn options(&self) -> Vec<String> {
        let mut options: Vec<String> = [
            option("count", self.jobs),
            option("producers", self.producers),
            option("batch", self.batch),
            option("channels", self.channels),
            option("payload", self.payload),
        ]
        .concat();
        options.extend(self.more.iter().cloned());
        options
    }
}

pub fn spawn(bench: &Bench, spawn: &Spawn) -> Result<Option<Figures>> {
    let database = installed(bench)?;
    database.settle()?;
    fill(bench, &database, spawn)
}

/// Spawns into a database that is there already.
pub fn fill(bench: &Bench, database: &Database, spawn: &Spawn) -> Result<Option<Figures>> {
    let Some(child) = Child::start(bench, database, "spawn", &spawn.options())? else {
        return Ok(None);
    };
    let mut children = [child];
    let meter = Meter::start(database, &children)?;
    children[0].go()?;
    let patience = Duration::from_secs(120) + Duration::from_millis(spawn.jobs as u64);
    let end = children[0].end(patience)?;
    let cost = meter.stop(&children)?;
    let jobs = spawn.jobs as f64;
    let seconds = end["seconds"].as_f64().context("no seconds")?;
    let mut figures = Figures::default();
    figures.set("rate", jobs / seconds);
    figures.set("client_us", cost.client_cpu_seconds * 1e6 / jobs);
    figures.set("server_us", cost.server_cpu_seconds * 1e6 / jobs);
    figures.set("wal_b", cost.wal_bytes / jobs);
    if spawn.payload > 0 {
        figures.set("mb_per_s", jobs * spawn.payload as f64 / seconds / 1e6);
    }
    Ok(Some(figures))
}

/// Spawns and measures nothing, beside something that is measured.
pub fn fill_unmeasured(program: &Path, url: &str, spawn: &Spawn) -> Result<()> {
    let mut command = Command::new(program);
    command.args(["spawn", "--url", url]).args(spawn.options());
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    writeln!(process.stdin.take().context("no standard input")?, "go")?;
    if !process.wait()?.success() {
        bail!("failed to spawn");
    }
    Ok(())
}
