//! How soon a job starts where nothing else is to do.

use super::{installed, option};
use crate::bench::{case::Bench, child::Child, results::Figures};
use anyhow::Result;
use std::time::Duration;

pub fn latency(bench: &Bench, jobs: usize) -> Result<Option<Figures>> {
    let database = installed(bench)?;
    database.settle()?;
    let mut options = Vec::from(option("count", jobs));
    options.push("--idle".to_owned());
    let Some(mut child) = Child::start(bench, &database, "latency", &options)? else {
        return Ok(None);
    };
    child.go()?;
    let told = child.end(Duration::from_secs(60) + Duration::from_secs(jobs as u64))?;
    let mut figures = Figures::default();
    figures.set_from("p50_ms", &told, "call_p50_ms");
    figures.set_from("p99_ms", &told, "call_p99_ms");
    figures.set_from("max_ms", &told, "call_max_ms");
    figures.set_from("return_p50_ms", &told, "return_p50_ms");
    figures.set_from("return_p99_ms", &told, "return_p99_ms");
    Ok(Some(figures))
}
