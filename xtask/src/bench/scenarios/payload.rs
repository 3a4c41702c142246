//! Jobs with payloads.

use super::words::{at_least, case, ours, scenario, which};
use crate::bench::{
    case::{Bench, Scenario},
    measure::{Drain, Spawn, drain, spawn},
    programs::System,
};

/// (name, bytes, jobs of a full run, jobs per batch)
const PAYLOADS: [(&str, usize, usize, usize); 3] = [
    ("none", 0, 100_000, 1_000),
    ("1 kB", 1_000, 100_000, 1_000),
    ("100 kB", 100_000, 2_000, 50),
];

pub fn payloads() -> Scenario {
    let mut cases = Vec::new();
    for (name, payload, jobs, batch) in PAYLOADS {
        let backlog = move |bench: &Bench| Spawn {
            payload,
            batch,
            ..Spawn::backlog(bench.sizes.scaled(jobs))
        };
        cases.push(case(&format!("drain, {name}"), System::Sqlxmq, move |bench| {
            drain(bench, &backlog(bench), &Drain::by(1))
        }));
        for system in [System::Sqlxmq, System::Plain] {
            cases.push(case(&format!("spawn, {name}"), system, move |bench| {
                spawn(bench, &backlog(bench))
            }));
        }
    }
    let targets = vec![
        at_least(ours("drain, 1 kB", "rate"), 0.7, ours("drain, none", "rate")),
        at_least(
            ours("spawn, 100 kB", "mb_per_s"),
            0.5,
            which("spawn, 100 kB", System::Plain, "mb_per_s"),
        ),
        at_least(
            ours("drain, 100 kB", "mb_per_s"),
            0.5,
            which("spawn, 100 kB", System::Plain, "mb_per_s"),
        ),
    ];
    scenario(
        "payload",
        "jobs with payloads; without a queue: COPY of such rows",
        cases,
        targets,
    )
}
