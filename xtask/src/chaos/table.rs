//! The table that a run ends with.

use super::check::{Kinds, Violation};
use super::facts::Facts;
use super::nemesis::{Down, Hit, Journal, Lost, Recovery};
use super::recovery::{Samples, bound};
use std::collections::BTreeMap;
use std::time::Duration;

/// Only so many violations of a kind are printed.
const SHOWN: usize = 5;

/// Prints everything.
pub fn print(
    facts: &Facts,
    journal: &Journal,
    samples: &BTreeMap<Recovery, Samples>,
    violations: &[Violation],
) {
    let effects: usize = facts.effects.values().map(Vec::len).sum();
    let starts: usize = facts.starts.values().map(Vec::len).sum();
    println!();
    println!("| jobs spawned | attempts | effects | dead as planned | faults that missed |");
    println!("|---:|---:|---:|---:|---:|");
    println!(
        "| {} | {starts} | {effects} | {} | {} |",
        facts.acknowledged.len(),
        facts.dead.len(),
        journal.missed
    );
    println!();
    println!("| fault | times | recovery is when | measured | p50 | p99 | max | bound |");
    println!("|---|---:|---|---:|---:|---:|---:|---:|");
    for (recovery, samples) in samples {
        let (fault, is_when) = words(*recovery);
        let cells: Vec<String> = [50, 99, 100]
            .map(|percent| seconds(samples.percentile(percent)))
            .to_vec();
        println!(
            "| {fault} | {} | {is_when} | {} | {} | {} |",
            samples.faults,
            samples.took.len(),
            cells.join(" | "),
            seconds(bound(*recovery))
        );
    }
    println!();
    println!("| violations | |");
    println!("|---|---:|");
    for kind in Kinds::ALL {
        let count = violations
            .iter()
            .filter(|violation| violation.kind == kind)
            .count();
        println!("| {kind} | {count} |");
    }
    println!();
    for kind in Kinds::ALL {
        let of_kind = violations.iter().filter(|violation| violation.kind == kind);
        for violation in of_kind.take(SHOWN) {
            println!("{kind}: {}", violation.text);
        }
    }
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or_else(String::new, |duration| format!("{:.2} s", duration.as_secs_f64()))
}

fn words(recovery: Recovery) -> (&'static str, &'static str) {
    match recovery {
        Recovery::GivenBack(Lost::Killed) => ("`kill -9` of a runner", "its jobs are given back"),
        Recovery::GivenBack(Lost::Paused) => ("pause beyond the lease", "its jobs are given back"),
        Recovery::ProcessStarts(Hit::Replaced) => ("… its replacement", "it starts a job"),
        Recovery::ProcessStarts(Hit::Continued) => ("… goes on", "it starts a job"),
        Recovery::ProcessStarts(Hit::Terminated) => ("backend terminated", "the runner starts a job"),
        Recovery::ProcessStarts(Hit::Cut) => ("connections cut", "the runner starts a job"),
        Recovery::ProcessStarts(Hit::Delayed) => ("delay beyond the lease", "the runner starts a job"),
        Recovery::ProcessStarts(Hit::HalfOpen) => ("half-open connections", "the runner starts a job"),
        Recovery::ProcessStarts(Hit::AnswerLost) => ("answer to a commit lost", "the runner starts a job"),
        Recovery::AnyStarts(Down::Restart) => ("immediate restart of the server", "a job is started"),
        Recovery::AnyStarts(Down::Failover) => ("failover to the standby", "a job is started"),
    }
}
