//! A program of `bench/` while it runs: the other end of `bench/harness/src/protocol.rs`.

use super::{case::Bench, site::Database};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to connect.
const READY: Duration = Duration::from_secs(60);
/// What it exits with if the queue has not got what it was asked for.
const NOT_OFFERED: i32 = 3;

/// One process, killed with the value if it has not ended.
pub struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    handled: usize,
    end: Option<Value>,
    pub still_running: String,
    pub rss_kb: f64,
}

impl Child {
    /// Starts a program and waits until it is connected. `None`: the queue has not got what it was asked for.
    pub fn start(bench: &Bench, database: &Database, task: &str, options: &[String]) -> Result<Option<Self>> {
        let mut child = Self::launch(bench, database, task, options)?;
        let ready = match child.next_line(READY)? {
            Some(ready) if ready["event"] == "ready" => ready,
            Some(other) => bail!("expected `ready`, got {other}"),
            None => {
                let status = child.process.wait()?;
                if status.code() == Some(NOT_OFFERED) {
                    return Ok(None);
                }
                bail!("{task} ended before it was ready ({status})");
            }
        };
        child.still_running = ready["still_running"].as_str().unwrap_or_default().to_owned();
        child.rss_kb = ready["rss_kb"].as_f64().unwrap_or_default();
        Ok(Some(child))
    }

    /// Runs a task that says nothing.
    pub fn perform(bench: &Bench, database: &Database, task: &str) -> Result<()> {
        let mut child = Self::launch(bench, database, task, &[])?;
        let status = child.process.wait()?;
        if !status.success() {
            bail!("{task} failed ({status})");
        }
        Ok(())
    }

    fn launch(bench: &Bench, database: &Database, task: &str, options: &[String]) -> Result<Self> {
        let mut command = Command::new(bench.program);
        command.args([task, "--url", &database.url]).args(options);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env("RUST_LOG", "error");
        let mut process = command
            .spawn()
            .with_context(|| format!("failed to run {}", bench.program.display()))?;
        let stdout = process.stdout.take().context("no standard output")?;
        let (sender, lines) = channel();
        // Ends with the program's output.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // What else a library prints is not for us.
                if let Ok(value) = serde_json::from_str(&line)
                    && sender.send(value).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self {
            stdin: process.stdin.take(),
            process,
            lines,
            handled: 0,
            end: None,
            still_running: String::new(),
            rss_kb: 0.0,
        })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn go(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the program was told to stop")?;
        writeln!(stdin, "go")?;
        Ok(stdin.flush()?)
    }

    /// How many jobs it has handled so far.
    pub fn handled(&mut self) -> Result<usize> {
        while let Ok(line) = self.lines.try_recv() {
            self.note(line);
        }
        if let Some(status) = self.process.try_wait()?
            && self.end.is_none()
        {
            bail!("a program ended by itself ({status})");
        }
        Ok(self.handled)
    }

    /// Waits for the last line of a program that ends by itself. The process is not waited for, so that its processor time can still be read.
    pub fn end(&mut self, patience: Duration) -> Result<Value> {
        let since = Instant::now();
        while self.end.is_none() {
            match self.next_line(patience.saturating_sub(since.elapsed()))? {
                Some(line) => self.note(line),
                None => bail!("a program ended without a word"),
            }
        }
        self.end.clone().context("no end")
    }

    /// Tells it to stop, and waits for its last line.
    pub fn stop(&mut self) -> Result<Value> {
        drop(self.stdin.take());
        self.end(READY)
    }

    fn note(&mut self, line: Value) {
        match line["event"].as_str() {
            Some("progress") => self.handled = line["handled"].as_u64().unwrap_or_default() as usize,
            Some("end") => self.end = Some(line),
            _ => {}
        }
    }

    /// The next line; `None` if the program has ended.
    fn next_line(&self, patience: Duration) -> Result<Option<Value>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("heard nothing for {patience:?}"),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that ends by itself needs no more than a closed pipe; killing it is no harm.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
