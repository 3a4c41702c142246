//! Steps that are run one after the other, timed, and summed up in a table.
//!
//! On a terminal a step is a spinner, and its output is shown if it fails. Elsewhere (CI) lines are plain and
//! the output is passed through, so that a log shows where a run is.

use crate::shell;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal, Write},
    process::Command,
    time::{Duration, Instant},
};

/// What has been run so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    took: Duration,
    outcome: Result<()>,
}

impl Report {
    /// Runs one step. A failure is kept and does not end the run.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        let terminal = is_terminal();
        let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
        if terminal {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a valid template");
            spinner.set_style(style);
            spinner.enable_steady_tick(Duration::from_millis(100));
        } else {
            spinner.set_draw_target(indicatif::ProgressDrawTarget::hidden());
            println!("\n==> {name}");
            let _ = std::io::stdout().flush();
        }
        let started = Instant::now();
        let outcome = run();
        spinner.finish_and_clear();
        let row = Row {
            name: name.to_owned(),
            took: started.elapsed(),
            outcome,
        };
        if terminal {
            println!("{}", row.line());
        }
        if let Err(error) = &row.outcome {
            println!("{error:#}");
        }
        self.rows.push(row);
    }

    /// Runs a command as a step.
    pub fn command(&mut self, name: &str, command: &mut Command) {
        self.step(name, || run_visibly(command));
    }

    /// Whether a step has failed.
    pub fn has_failures(&self) -> bool {
        self.rows.iter().any(|row| row.outcome.is_err())
    }

    /// Prints the table.
    ///
    /// # Errors
    ///
    /// If any step failed; the error lists them all.
    pub fn finish(self) -> Result<()> {
        println!();
        for row in &self.rows {
            println!("{}", row.line());
        }
        let total: Duration = self.rows.iter().map(|row| row.took).sum();
        println!("{:>9.1} s  in all", total.as_secs_f64());
        let failed: Vec<_> = self
            .rows
            .iter()
            .filter(|row| row.outcome.is_err())
            .map(|row| row.name.as_str())
            .collect();
        if !failed.is_empty() {
            bail!(
                "{} of {} failed: {}",
                failed.len(),
                self.rows.len(),
                failed.join(", ")
            );
        }
        println!("all {} passed", self.rows.len());
        Ok(())
    }
}

impl Row {
    fn line(&self) -> String {
        let outcome = if self.outcome.is_ok() { "ok" } else { "FAILED" };
        format!(
            "{:>9.1} s  {:<6}  {}",
            self.took.as_secs_f64(),
            outcome,
            self.name
        )
    }
}

/// Whether a person is watching.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("CI").is_none()
}

/// Runs a command: with its output passed through, or, on a terminal, shown only if it fails.
pub fn run_visibly(command: &mut Command) -> Result<()> {
    let line = shell::line_of(command);
    if is_terminal() {
        let output = command
            .output()
            .with_context(|| format!("failed to run {line}"))?;
        if !output.status.success() {
            let (stdout, stderr) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            bail!("{stdout}{stderr}{line} failed ({})", output.status);
        }
        return Ok(());
    }
    println!("$ {line}");
    let status = command
        .status()
        .with_context(|| format!("failed to run {line}"))?;
    if !status.success() {
        bail!("{line} failed ({status})");
    }
    Ok(())
}
