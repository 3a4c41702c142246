//! `cargo xtask bench`: how fast the queue is, and how flat, beside its peers. Linux only: it reads `/proc`.
//!
//! A *system* is a program of `bench/`; a *case* is one measurement of one system on a fresh database. The cases of a scenario are run in
//! turn, round by round and every other round backwards, so that what else the machine does meets all of them alike. Ratios are taken
//! between the two cases of a round, and their median is reported. Nothing here decides anything but the order: what is measured is in
//! `scenarios`, how in `measure`.
//!
//! Where the time goes is not asked here but of `perf`, while a scenario runs in another terminal:
//!
//! ```text
//! perf record -F 999 -g --call-graph dwarf,16384 -p $(pgrep -n bench_sqlxmq) -- sleep 10          # the client
//! perf record -F 999 -g -p $(pgrep -d, postgres) -- sleep 10                                      # the server
//! perf report --no-children --sort symbol
//! ```
//!
//! The programs have line tables. For names in the server install its debug symbols (`postgresql-15-dbgsym`).

mod case;
mod child;
mod cost;
mod measure;
mod plots;
mod programs;
mod results;
mod scenarios;
mod series;
mod site;
mod statistics;
mod table;

use anyhow::{Result, bail};
use case::{Bench, Case, Scenario, Sizes};
use programs::System;
use results::{Results, Sample};
use std::path::PathBuf;

/// Measure the queue, beside its peers, on a durable server of its own
#[derive(clap::Args)]
pub struct Arguments {
    /// What to measure. Default: everything. `list` lists.
    scenarios: Vec<String>,
    /// Few rounds of small sizes: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Rounds. Default: 5, quick 2.
    #[arg(long)]
    rounds: Option<usize>,
    /// Jobs per run. Default: 100,000, quick 10,000.
    #[arg(long)]
    jobs: Option<usize>,
    /// How long jobs are produced and consumed, in seconds. Default: 60, quick 6.
    #[arg(long)]
    seconds: Option<u64>,
    /// Only these systems. Default: all.
    #[arg(long, value_delimiter = ',', value_enum)]
    systems: Vec<System>,
    /// Where the results go. Default: `bench/results`, quick and partial runs `target/bench-results`.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Measure nothing: draw the plots of the results in this folder.
    #[arg(long, value_name = "FOLDER", exclusive = true)]
    plot: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.plot {
        return plots::draw(folder);
    }
    let all = scenarios::all();
    let chosen = choose(all, &arguments.scenarios)?;
    if chosen.is_empty() {
        return Ok(());
    }
    let sizes = Sizes::new(arguments.quick, arguments.jobs, arguments.seconds);
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 2 } else { 5 });
    let is_wanted = |case: &Case| arguments.systems.is_empty() || arguments.systems.contains(&case.system);
    let systems: Vec<System> = {
        let mut systems: Vec<_> = chosen
            .iter()
            .flat_map(|scenario| &scenario.cases)
            .filter(|case| is_wanted(case))
            .map(|case| case.system)
            .collect();
        systems.sort_unstable();
        systems.dedup();
        systems
    };
    let programs = programs::build(&systems)?;
    let site = site::Site::start(chosen.iter().any(|scenario| scenario.name == "idle"))?;
    let mut results = Results::new(&site, rounds, &sizes)?;
    for scenario in &chosen {
        eprintln!("{}: {}", scenario.name, scenario.about);
        let cases: Vec<&Case> = scenario.cases.iter().filter(|case| is_wanted(case)).collect();
        for round in 0..rounds {
            let mut in_turn = cases.clone();
            if round % 2 == 1 {
                in_turn.reverse();
            }
            for case in in_turn {
                measure_one(&site, &programs, &sizes, scenario, case, round, &mut results);
            }
        }
    }
    let folder = arguments.output.clone().unwrap_or_else(|| {
        let is_whole = !arguments.quick && arguments.scenarios.is_empty() && arguments.systems.is_empty();
        match is_whole {
            true => crate::shell::root().join("bench/results"),
            false => crate::shell::target_dir().join("bench-results"),
        }
    });
    let text = table::render(&results, &chosen);
    println!("{text}");
    results.write(&folder, &text)?;
    plots::draw(&folder)
}

fn choose(all: Vec<Scenario>, names: &[String]) -> Result<Vec<Scenario>> {
    if names.iter().any(|name| name == "list") {
        for scenario in &all {
            println!("{:<12} {}", scenario.name, scenario.about);
        }
        return Ok(Vec::new());
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|scenario| scenario.name != **name))
    {
        bail!("there is no scenario `{unknown}`: `cargo xtask bench list` lists them");
    }
    let is_chosen = |scenario: &Scenario| {
        names.is_empty() && !scenario.only_by_name || names.iter().any(|name| name == scenario.name)
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// One case, whose failure is noted and does not end the run.
fn measure_one(
    site: &site::Site,
    programs: &programs::Programs,
    sizes: &Sizes,
    scenario: &Scenario,
    case: &Case,
    round: usize,
    results: &mut Results,
) {
    let bench = Bench {
        site,
        program: programs.of(case.system),
        sizes,
    };
    let label = format!("{} / {} / {}", scenario.name, case.name, case.system);
    match (case.measure)(&bench) {
        Ok(Some(figures)) => {
            eprintln!("  round {} {label}: {}", round + 1, figures.line());
            results.samples.push(Sample {
                scenario: scenario.name,
                case: case.name.clone(),
                system: case.system,
                round,
                figures,
            });
        }
        Ok(None) => eprintln!("  round {} {label}: not offered", round + 1),
        Err(error) => {
            eprintln!("  round {} {label}: FAILED: {error:#}", round + 1);
            results
                .failures
                .push(format!("{label}, round {}: {error:#}", round + 1));
        }
    }
}
