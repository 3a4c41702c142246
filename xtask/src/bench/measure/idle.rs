//! What a runner costs that has nothing to do.

use super::{Spawn, installed, spawn::fill};
use crate::bench::{case::Bench, child::Child, cost::Meter, results::Figures};
use anyhow::Result;
use std::{thread, time::Duration};

/// Until a runner has fallen asleep.
const SETTLE: Duration = Duration::from_secs(3);

/// `channels`: how many have a job that is due tomorrow.
pub fn idle(bench: &Bench, seconds: u64, channels: usize) -> Result<Option<Figures>> {
    let database = installed(bench)?;
    if channels > 0 {
        let tomorrow = Spawn::backlog(channels).channels(channels).with("--delay 86400");
        if fill(bench, &database, &tomorrow)?.is_none() {
            return Ok(None);
        }
    }
    // Sessions that begin from now on are counted.
    let name = database.name();
    database.execute("create extension pg_stat_statements")?;
    database.execute(&format!(
        "alter database {name} set pg_stat_statements.track = 'top'"
    ))?;
    database.settle()?;
    let Some(child) = Child::start(bench, &database, "run", &["--idle".to_owned()])? else {
        return Ok(None);
    };
    let mut children = [child];
    children[0].go()?;
    thread::sleep(SETTLE);
    let statements = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements
      where dbid = (select oid from pg_database where datname = current_database())";
    let transactions = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let (statements_before, transactions_before) =
        (database.number(statements)?, database.number(transactions)?);
    let meter = Meter::start(&database, &children)?;
    thread::sleep(Duration::from_secs(seconds));
    let cost = meter.stop(&children)?;
    let (statements_after, transactions_after) =
        (database.number(statements)?, database.number(transactions)?);
    let rss_before = children[0].rss_kb;
    let told = children[0].stop()?;
    let mut figures = Figures::default();
    let seconds = seconds as f64;
    figures.set(
        "statements_per_s",
        (statements_after - statements_before) as f64 / seconds,
    );
    figures.set(
        "xids_per_s",
        (transactions_after - transactions_before) as f64 / seconds,
    );
    figures.set("client_cpu_ms_per_s", cost.client_cpu_seconds * 1e3 / seconds);
    figures.set("server_cpu_ms_per_s", cost.server_cpu_seconds * 1e3 / seconds);
    if let Some(rss) = told["rss_kb"].as_f64() {
        figures.set("rss_mb", (rss - rss_before) / 1024.0);
    }
    Ok(Some(figures))
}
