//! The lines that a program writes, and those that it waits for.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::{fs, io::Write, time::Duration};
use tokio::io::{AsyncBufReadExt, BufReader, Stdin};

/// Standard input, line by line.
pub struct Caller(BufReader<Stdin>);

impl Caller {
    /// Says ready, and returns when the caller says go.
    pub async fn ready(still_running: &str) -> Result<Self> {
        say(&json!({ "event": "ready", "still_running": still_running, "rss_kb": rss_kb() }));
        let mut caller = Self(BufReader::new(tokio::io::stdin()));
        let mut line = String::new();
        if caller.0.read_line(&mut line).await? == 0 {
            bail!("the caller has gone");
        }
        Ok(caller)
    }

    /// Returns when the caller closes standard input.
    pub async fn closed(mut self) -> Result<()> {
        let mut line = String::new();
        while self.0.read_line(&mut line).await? > 0 {
            line.clear();
        }
        Ok(())
    }
}

pub fn progress(handled: usize) {
    say(&json!({ "event": "progress", "handled": handled }));
}

/// The last line. `figures` are the program's own.
pub fn end(mut figures: Value) {
    figures["event"] = "end".into();
    say(&figures);
}

/// Median, p99 and maximum in milliseconds, under these names.
pub fn quantiles(name: &str, mut durations: Vec<Duration>) -> Value {
    durations.sort();
    let at = |quantile: f64| match durations.len() {
        0 => Value::Null,
        length => (durations[((length - 1) as f64 * quantile).round() as usize].as_secs_f64() * 1e3).into(),
    };
    let mut figures = json!({});
    for (suffix, quantile) in [("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)] {
        figures[format!("{name}_{suffix}")] = at(quantile);
    }
    figures
}

/// Kilobytes of memory that this process has in use.
pub fn rss_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn say(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Without a caller there is nobody to tell.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
