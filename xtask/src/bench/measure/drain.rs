//! Running a backlog down.

use super::{Spawn, installed, option, spawn::fill};
use crate::bench::{case::Bench, child::Child, cost::Meter, results::Figures, site::Database};
use anyhow::{Result, bail};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(1);

/// Who runs it down.
#[derive(Clone, Debug)]
pub struct Drain {
    pub processes: usize,
    /// More words for the command line.
    pub more: String,
}

impl Drain {
    pub fn by(processes: usize) -> Self {
        Self {
            processes,
            more: String::new(),
        }
    }

    pub fn with(self, words: &str) -> Self {
        Self {
            more: words.to_owned(),
            ..self
        }
    }
}

/// Spawns a backlog and drains it.
pub fn drain(bench: &Bench, backlog: &Spawn, drain: &Drain) -> Result<Option<Figures>> {
    drain_after(bench, &[], backlog, drain, false)
}

/// The same, with other jobs there that are not run, spawned `before`, or with xmin pinned since the backlog is there.
pub fn drain_after(
    bench: &Bench,
    before: &[Spawn],
    backlog: &Spawn,
    drain: &Drain,
    pinned: bool,
) -> Result<Option<Figures>> {
    let database = installed(bench)?;
    for others in before {
        if fill(bench, &database, others)?.is_none() {
            return Ok(None);
        }
    }
    let Some(filled) = fill(bench, &database, backlog)? else {
        return Ok(None);
    };
    database.settle()?;
    let pin = if pinned { Some(database.pin()?) } else { None };
    let drained = drain_down(bench, &database, backlog.jobs, drain)?;
    drop(pin);
    let Some(mut figures) = drained else {
        return Ok(None);
    };
    figures.set("spawn_wal_b", filled.figures["wal_b"]);
    figures.set("both_wal_b", filled.figures["wal_b"] + figures.figures["wal_b"]);
    if backlog.payload > 0 {
        figures.set("mb_per_s", figures.figures["rate"] * backlog.payload as f64 / 1e6);
    }
    Ok(Some(figures))
}

fn drain_down(bench: &Bench, database: &Database, jobs: usize, drain: &Drain) -> Result<Option<Figures>> {
    let mut options = Vec::from(option("count", jobs));
    options.extend(drain.more.split_whitespace().map(str::to_owned));
    let mut children = Vec::new();
    for _ in 0..drain.processes {
        match Child::start(bench, database, "run", &options)? {
            Some(child) => children.push(child),
            None => return Ok(None),
        }
    }
    let still_running = children[0].still_running.clone();
    let meter = Meter::start(database, &children)?;
    for child in &mut children {
        child.go()?;
    }
    let series = wait(&mut children, jobs)?;
    while database.truth(&still_running)? {
        thread::sleep(LOOK);
    }
    let cost = meter.stop(&children)?;
    for child in &mut children {
        child.stop()?;
    }
    let jobs = jobs as f64;
    let mut figures = Figures {
        series,
        ..Figures::default()
    };
    figures.set("rate", jobs / cost.seconds);
    figures.set("client_us", cost.client_cpu_seconds * 1e6 / jobs);
    figures.set("server_us", cost.server_cpu_seconds * 1e6 / jobs);
    figures.set(
        "cpu_us",
        (cost.client_cpu_seconds + cost.server_cpu_seconds) * 1e6 / jobs,
    );
    figures.set("wal_b", cost.wal_bytes / jobs);
    Ok(Some(figures))
}

/// Waits until all jobs have been handled by somebody, and says how far it was every tenth of a second.
fn wait(children: &mut [Child], jobs: usize) -> Result<Vec<(f64, f64)>> {
    let since = Instant::now();
    let patience = Duration::from_secs(120) + Duration::from_millis(jobs as u64);
    let mut series = vec![(0.0, 0.0)];
    loop {
        let mut handled = 0;
        for child in &mut *children {
            handled += child.handled()?;
        }
        let seconds = since.elapsed().as_secs_f64();
        if handled >= jobs || series.last().is_some_and(|(last, _)| seconds - last >= 0.1) {
            series.push((seconds, handled as f64));
        }
        if handled >= jobs {
            return Ok(series);
        }
        if since.elapsed() > patience {
            bail!("only {handled} of {jobs} jobs were run in {patience:?}");
        }
        thread::sleep(LOOK);
    }
}
