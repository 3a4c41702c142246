//! How soon a job starts: on an idle queue, under load, beside big ones.

use super::words::{at_most, case, ours, queues, scenario};
use crate::bench::{
    case::{Bench, Scenario},
    measure::{big_beside_small, latency, under_load},
    programs::System,
};

pub fn latencies() -> Scenario {
    let measure = |bench: &Bench| latency(bench, if bench.sizes.quick { 20 } else { 200 });
    let cases = queues()
        .chain([System::Plain])
        .map(|system| case("idle", system, measure))
        .collect();
    let targets = vec![
        at_most(ours("idle", "p50_ms"), 1.2),
        at_most(ours("idle", "p99_ms"), 4.0),
    ];
    scenario(
        "latency",
        "from the call of spawn to the start of the job, one at a time; without a queue: an INSERT that notifies, to its notification",
        cases,
        targets,
    )
}

pub fn load() -> Scenario {
    let measure = |bench: &Bench| under_load(bench, if bench.sizes.quick { 3 } else { 20 });
    let cases = queues()
        .map(|system| case("half load", system, measure))
        .collect();
    let targets = vec![at_most(ours("half load", "p99_ms"), 20.0)];
    scenario(
        "load",
        "from spawn to start at half of the rate that 16 producers reach",
        cases,
        targets,
    )
}

pub fn big() -> Scenario {
    let of =
        |big: bool| move |bench: &Bench| big_beside_small(bench, if bench.sizes.quick { 3 } else { 20 }, big);
    let cases = vec![
        case("small jobs alone", System::Sqlxmq, of(false)),
        case("beside jobs of 1 MiB", System::Sqlxmq, of(true)),
    ];
    scenario(
        "big",
        "how soon small jobs start while jobs of 1 MiB are spawned and run",
        cases,
        Vec::new(),
    )
}
