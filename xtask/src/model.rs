//! `cargo xtask model`: explores the model of the protocol, larger and with more faults than the test suite does.

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use protocol_model::{Config, LARGE, Outcome, SUITE, check_up_to};
use std::time::Duration;

/// Explore the model of the protocol: three jobs and three runners, or more faults
#[derive(clap::Args)]
pub struct Arguments {
    /// The configurations of the test suite instead: two jobs, two runners.
    #[arg(long)]
    small: bool,
    /// List the configurations.
    #[arg(long)]
    list: bool,
    /// Give up on a configuration after so many steps, which counts as a failure. A state takes some 100 bytes.
    #[arg(long, default_value_t = 2_000_000_000)]
    limit: usize,
    /// Only configurations with this in their names (`order`, `3x3`).
    names: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let configurations = if arguments.small { SUITE } else { LARGE };
    let chosen: Vec<&Config> = configurations
        .iter()
        .filter(|config| {
            let title = title(config);
            arguments.names.is_empty() || arguments.names.iter().any(|name| title.contains(name.as_str()))
        })
        .collect();
    if chosen.is_empty() {
        bail!("there is no such configuration; see --list");
    }
    if arguments.list {
        for config in chosen {
            println!("{}", title(config));
        }
        return Ok(());
    }
    println!(
        "{:<36} {:>10} {:>6} {:>9}",
        "configuration", "states", "depth", "time"
    );
    let mut failed = Vec::new();
    for config in &chosen {
        let outcome = explore(config, arguments.limit);
        println!(
            "{:<36} {:>10} {:>6} {:>7.1} s  {}",
            title(config),
            outcome.states,
            outcome.depth,
            outcome.took.as_secs_f64(),
            verdict(&outcome)
        );
        for violation in &outcome.violations {
            println!("  broken: {}", violation.property);
            for step in &violation.steps {
                println!("    {step}");
            }
        }
        if outcome.is_cut || !outcome.violations.is_empty() {
            failed.push(title(config));
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} of {} failed: {}",
            failed.len(),
            chosen.len(),
            failed.join("; ")
        );
    }
    println!("all {} hold, each explored to its end", chosen.len());
    Ok(())
}

fn explore(config: &Config, limit: usize) -> Outcome {
    let spinner = ProgressBar::new_spinner().with_message(title(config));
    if crate::report::is_terminal() {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a valid template");
        spinner.set_style(style);
        spinner.enable_steady_tick(Duration::from_millis(100));
    } else {
        spinner.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let outcome = check_up_to(*config, limit);
    spinner.finish_and_clear();
    outcome
}

fn title(config: &Config) -> String {
    let Config {
        name,
        jobs,
        runners,
        faults,
        ..
    } = config;
    format!("{name} {jobs}x{runners}, faults: {faults}")
}

fn verdict(outcome: &Outcome) -> &'static str {
    if !outcome.violations.is_empty() {
        "BROKEN"
    } else if outcome.is_cut {
        "CUT OFF, not explored to its end"
    } else {
        "holds"
    }
}
