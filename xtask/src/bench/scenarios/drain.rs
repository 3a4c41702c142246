//! Drains of jobs that are there already: how fast they run, how they end, by how many processes.

use super::words::{at_least, at_most, case, ours, queues, scenario, which};
use crate::bench::{
    case::{Bench, Scenario},
    measure::{Drain, Spawn, drain},
    programs::System,
};

pub fn drains() -> Scenario {
    let mut cases = Vec::new();
    for processes in [1, 4] {
        let name = if processes == 1 {
            "1 process"
        } else {
            "4 processes"
        };
        for system in queues() {
            cases.push(case(name, system, move |bench| {
                drain(bench, &Spawn::backlog(bench.sizes.jobs), &Drain::by(processes))
            }));
        }
    }
    let targets = vec![
        at_least(
            ours("1 process", "rate"),
            1.2,
            which("1 process", System::Pgmq, "rate"),
        ),
        at_least(
            ours("1 process", "rate"),
            1.5,
            which("1 process", System::GraphileWorker, "rate"),
        ),
        at_least(
            ours("4 processes", "rate"),
            1.4,
            which("4 processes", System::GraphileWorker, "rate"),
        ),
        at_most(ours("1 process", "cpu_us"), 20.0),
        at_most(ours("1 process", "both_wal_b"), 800.0),
    ];
    scenario(
        "drain",
        "no-op jobs that are there already, run by 1 and 4 processes",
        cases,
        targets,
    )
}

pub fn completions() -> Scenario {
    let of = |completion: &'static str, jobs: usize| {
        move |bench: &Bench| {
            let words = format!("--completion {completion}");
            drain(
                bench,
                &Spawn::backlog(bench.sizes.scaled(jobs)).with(&words),
                &Drain::by(1).with(&format!(
                    "{words} --concurrency {}",
                    match completion {
                        "transaction" => 32,
                        "explicit" => 100,
                        _ => 2_000,
                    }
                )),
            )
        }
    };
    let no_queue = |bench: &Bench| {
        // Nothing is spawned: as many transactions as there would be jobs.
        let nothing = Spawn {
            jobs: bench.sizes.scaled(50_000),
            producers: 1,
            ..Spawn::backlog(0)
        };
        drain(
            bench,
            &nothing,
            &Drain::by(1).with("--completion transaction --concurrency 32"),
        )
    };
    let cases = vec![
        case("by the runner", System::Sqlxmq, of("runner", 100_000)),
        case(
            "by the job, 100 at a time",
            System::Sqlxmq,
            of("explicit", 100_000),
        ),
        case(
            "in a transaction, 32 at a time",
            System::Sqlxmq,
            of("transaction", 50_000),
        ),
        case("in a transaction, 32 at a time", System::Plain, no_queue),
    ];
    let targets = vec![
        at_least(
            ours("by the job, 100 at a time", "rate"),
            0.7,
            ours("by the runner", "rate"),
        ),
        at_least(
            ours("in a transaction, 32 at a time", "rate"),
            0.8,
            which("in a transaction, 32 at a time", System::Plain, "rate"),
        ),
    ];
    scenario(
        "completion",
        "drains of jobs that complete themselves",
        cases,
        targets,
    )
}

pub fn processes() -> Scenario {
    let of = |processes: usize| {
        move |bench: &Bench| {
            drain(
                bench,
                &Spawn::backlog(bench.sizes.scaled(200_000)),
                &Drain::by(processes),
            )
        }
    };
    let cases = [("1", 1), ("2", 2), ("4", 4), ("8", 8)];
    let cases = cases
        .map(|(name, processes)| case(name, System::Sqlxmq, of(processes)))
        .into();
    let targets = vec![at_least(ours("4", "rate"), 1.6, ours("1", "rate"))];
    scenario("processes", "drains by 1 to 8 processes", cases, targets)
}
