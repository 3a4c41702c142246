//! With a transaction elsewhere that pins xmin.

use super::words::{at_least, at_most, case, ours, queues, scenario, which};
use crate::bench::{
    case::{Bench, Scenario},
    measure::{Churn, Drain, Spawn, churn, drain_after},
    programs::System,
};
use std::time::Duration;

pub fn pin(name: &'static str, about: &'static str, seconds: Option<u64>) -> Scenario {
    let of = move |pinned: bool| {
        move |bench: &Bench| {
            let seconds = match seconds {
                Some(seconds) if !bench.sizes.quick => seconds,
                _ => bench.sizes.seconds,
            };
            let recovery = Duration::from_secs(if bench.sizes.quick { 5 } else { 60 });
            churn(
                bench,
                &Churn {
                    producers: 4,
                    batch: 100,
                    seconds,
                    pinned,
                    recovery,
                },
            )
        }
    };
    let mut cases = Vec::new();
    for system in queues() {
        cases.push(case("not pinned", system, of(false)));
        cases.push(case("pinned", system, of(true)));
    }
    let targets = vec![
        at_least(ours("pinned", "last_rate"), 0.9, ours("pinned", "first_rate")),
        at_most(ours("pinned", "recovered_growth"), 2.0),
        at_least(
            ours("pinned", "rate"),
            1.3,
            which("pinned", System::Apalis, "rate"),
        ),
    ];
    Scenario {
        only_by_name: seconds.is_some(),
        ..scenario(name, about, cases, targets)
    }
}

pub fn pinned_drain() -> Scenario {
    let of = |pinned: bool| {
        move |bench: &Bench| {
            drain_after(
                bench,
                &[],
                &Spawn::backlog(bench.sizes.scaled(1_000_000)),
                &Drain::by(1),
                pinned,
            )
        }
    };
    let mut cases = Vec::new();
    for system in queues() {
        cases.push(case("not pinned", system, of(false)));
        cases.push(case("pinned", system, of(true)));
    }
    let targets = vec![at_least(ours("pinned", "rate"), 0.8, ours("not pinned", "rate"))];
    scenario(
        "pin-drain",
        "a drain of 1,000,000 jobs, with and without a pin",
        cases,
        targets,
    )
}
