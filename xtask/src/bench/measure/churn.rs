//! Producing and consuming at once.

use super::{Spawn, installed, option};
use crate::bench::{
    case::Bench, child::Child, cost::Meter, results::Figures, series::handled_at, site::Database,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How it is produced.
#[derive(Clone, Debug)]
pub struct Churn {
    pub producers: usize,
    pub batch: usize,
    pub seconds: u64,
    pub pinned: bool,
    /// Goes on after the pin is gone until tables and indexes are below twice their size before it, or as long as this.
    pub recovery: Duration,
}

const LOOK: Duration = Duration::from_millis(100);

pub fn churn(bench: &Bench, churn: &Churn) -> Result<Option<Figures>> {
    let database = installed(bench)?;
    let options = [option("producers", churn.producers), option("batch", churn.batch)].concat();
    let Some(child) = Child::start(bench, &database, "churn", &options)? else {
        return Ok(None);
    };
    let mut children = [child];
    children[0].go()?;
    // The rates of the first and the last sixth are compared, 10 s of a minute. After as long a warm-up its tables have the size
    // that is compared with.
    let window = (churn.seconds as f64 / 6.0).min(10.0);
    watch(&mut children[0], Duration::from_secs_f64(window))?;
    let bytes_before = database.bytes()?;
    let pin = if churn.pinned { Some(database.pin()?) } else { None };
    let meter = Meter::start(&database, &children)?;
    let series = watch(&mut children[0], Duration::from_secs(churn.seconds))?;
    let cost = meter.stop(&children)?;
    let bytes_after = database.bytes()?;

    let until = series.last().map_or(0.0, |(seconds, _)| *seconds);
    let jobs = handled_at(&series, until);
    let first = handled_at(&series, window);
    let last = jobs - handled_at(&series, until - window);
    let mut figures = Figures {
        series,
        ..Figures::default()
    };
    figures.set("rate", jobs / cost.seconds);
    figures.set("first_rate", first / window);
    figures.set("last_rate", last / window);
    figures.set("flat", last / first);
    figures.set("client_us", cost.client_cpu_seconds * 1e6 / jobs);
    figures.set("server_us", cost.server_cpu_seconds * 1e6 / jobs);
    figures.set("wal_b", cost.wal_bytes / jobs);
    figures.set("growth", bytes_after as f64 / bytes_before as f64);
    if let Some(pin) = pin {
        drop(pin);
        let recovered = recover(&database, &mut children[0], 2 * bytes_before, churn.recovery)?;
        figures.set("recovered_growth", database.bytes()? as f64 / bytes_before as f64);
        if let Some(after) = recovered {
            figures.set("recovered_s", after.as_secs_f64());
        }
    }
    children[0].stop()?;
    Ok(Some(figures))
}

/// How long tables and indexes took to get below `bytes`.
fn recover(
    database: &Database,
    child: &mut Child,
    bytes: i64,
    patience: Duration,
) -> Result<Option<Duration>> {
    let since = Instant::now();
    while since.elapsed() < patience {
        if database.bytes()? < bytes {
            return Ok(Some(since.elapsed()));
        }
        watch(child, Duration::from_secs(1))?;
    }
    Ok(None)
}

/// Jobs handled, again and again, for some time.
fn watch(child: &mut Child, time: Duration) -> Result<Vec<(f64, f64)>> {
    let since = Instant::now();
    let before = child.handled()?;
    let mut series = vec![(0.0, 0.0)];
    while since.elapsed() < time {
        thread::sleep(LOOK.min(time.saturating_sub(since.elapsed())));
        let handled = child.handled()? - before;
        series.push((since.elapsed().as_secs_f64(), handled as f64));
    }
    Ok(series)
}

/// How soon jobs start at half of the most that 16 producers, one job at a time, and one process can keep up.
pub fn under_load(bench: &Bench, seconds: u64) -> Result<Option<Figures>> {
    let one_by_one = [option("producers", 16), option("batch", 1)].concat();
    let Some(most) = stamped(bench, &one_by_one, seconds, None)? else {
        return Ok(None);
    };
    let half = [one_by_one, Vec::from(option("rate", most.rate / 2.0))].concat();
    let Some(run) = stamped(bench, &half, seconds, None)? else {
        return Ok(None);
    };
    let mut figures = run.figures();
    figures.set("most", most.rate);
    Ok(Some(figures))
}

/// How soon small jobs start, 200 a second, while jobs with a payload of 1 MiB are spawned and run by the same runner, or not.
pub fn big_beside_small(bench: &Bench, seconds: u64, big: bool) -> Result<Option<Figures>> {
    let small = [option("producers", 2), option("batch", 1), option("rate", 200)].concat();
    let beside = Spawn {
        producers: 1,
        batch: 1,
        payload: 1024 * 1024,
        ..Spawn::backlog(seconds as usize * 10)
    };
    let run = stamped(bench, &small, seconds, big.then_some(&beside))?;
    Ok(run.map(|run| run.figures()))
}

struct Run {
    rate: f64,
    told: Value,
}

impl Run {
    fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        figures.set("rate", self.rate);
        figures.set_from("p50_ms", &self.told, "start_p50_ms");
        figures.set_from("p99_ms", &self.told, "start_p99_ms");
        figures.set_from("max_ms", &self.told, "start_max_ms");
        figures
    }
}

fn stamped(bench: &Bench, options: &[String], seconds: u64, beside: Option<&Spawn>) -> Result<Option<Run>> {
    let database = installed(bench)?;
    database.settle()?;
    let mut options = options.to_vec();
    options.push("--stamp".to_owned());
    let Some(mut child) = Child::start(bench, &database, "churn", &options)? else {
        return Ok(None);
    };
    child.go()?;
    let series = thread::scope(|scope| {
        let beside = beside.map(|spawn| {
            let (program, url) = (bench.program, &database.url);
            scope.spawn(move || super::spawn::fill_unmeasured(program, url, spawn))
        });
        let series = watch(&mut child, Duration::from_secs(seconds));
        if let Some(beside) = beside {
            beside.join().expect("no panic")?;
        }
        series
    })?;
    let (until, jobs) = series.last().context("no series")?;
    Ok(Some(Run {
        rate: jobs / until,
        told: child.stop()?,
    }))
}
