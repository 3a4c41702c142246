//! How fast jobs are stored, one by one and in batches.

use super::words::{at_least, case, ours, queues, scenario, which};
use crate::bench::{
    case::{Bench, Scenario},
    measure::{Spawn, spawn},
    programs::System,
};

pub fn spawns() -> Scenario {
    let one_by_one = |words: &'static str| {
        move |bench: &Bench| {
            let jobs = bench.sizes.scaled(50_000);
            let one_by_one = Spawn {
                producers: 16,
                batch: 1,
                ..Spawn::backlog(jobs)
            };
            spawn(bench, &one_by_one.with(words))
        }
    };
    let systems = queues().chain([System::Plain]);
    let mut cases: Vec<_> = systems
        .map(|system| case("16 producers", system, one_by_one("")))
        .collect();
    cases.push(case(
        "16 producers, grouped",
        System::Sqlxmq,
        one_by_one("--grouped"),
    ));
    let targets = vec![
        at_least(
            ours("16 producers", "rate"),
            0.8,
            which("16 producers", System::Plain, "rate"),
        ),
        at_least(
            ours("16 producers", "rate"),
            2.0,
            which("16 producers", System::River, "rate"),
        ),
        at_least(
            ours("16 producers, grouped", "rate"),
            0.8,
            which("16 producers", System::Plain, "rate"),
        ),
        at_least(
            ours("16 producers, grouped", "rate"),
            2.0,
            which("16 producers", System::River, "rate"),
        ),
    ];
    scenario(
        "spawn",
        "jobs spawned one by one, with the pool and by a `Spawner` (grouped); without a queue: plain INSERTs of such rows",
        cases,
        targets,
    )
}

pub fn bulk() -> Scenario {
    let in_batches = |producers: usize| {
        move |bench: &Bench| {
            spawn(
                bench,
                &Spawn {
                    producers,
                    ..Spawn::backlog(bench.sizes.jobs)
                },
            )
        }
    };
    let mut cases = Vec::new();
    for (name, producers) in [("1 producer", 1), ("4 producers", 4)] {
        for system in queues().chain([System::Plain]) {
            cases.push(case(name, system, in_batches(producers)));
        }
    }
    let targets = vec![at_least(
        ours("1 producer", "rate"),
        1.0,
        which("1 producer", System::Pgmq, "rate"),
    )];
    scenario(
        "bulk",
        "jobs spawned in batches of 1,000; without a queue: COPY of such rows",
        cases,
        targets,
    )
}
