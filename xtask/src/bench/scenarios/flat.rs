//! Drains that must not slow down for how much is there, in how many channels, beside what, and in which order.

use super::words::{at_least, case, ours, queues, scenario};
use crate::bench::{
    case::{Bench, Scenario},
    measure::{Drain, Spawn, drain, drain_after},
    programs::System,
};

pub fn backlogs() -> Scenario {
    let mut cases = Vec::new();
    for (name, jobs) in [("100k", 100_000), ("300k", 300_000), ("1M", 1_000_000)] {
        for system in queues() {
            cases.push(case(name, system, move |bench| {
                drain(bench, &Spawn::backlog(bench.sizes.scaled(jobs)), &Drain::by(1))
            }));
        }
    }
    let targets = vec![at_least(ours("1M", "rate"), 0.85, ours("100k", "rate"))];
    scenario("backlog", "drains of larger backlogs", cases, targets)
}

pub fn channels() -> Scenario {
    let of = |channels: usize| {
        move |bench: &Bench| {
            let channels = if channels == 1 {
                1
            } else {
                bench.sizes.scaled(channels)
            };
            drain(
                bench,
                &Spawn::backlog(bench.sizes.jobs).channels(channels),
                &Drain::by(1),
            )
        }
    };
    let cases = [
        ("1", 1),
        ("100", 100),
        ("1k", 1_000),
        ("10k", 10_000),
        ("100k", 100_000),
    ];
    let cases = cases
        .map(|(name, channels)| case(name, System::Sqlxmq, of(channels)))
        .into();
    let targets = vec![at_least(ours("100k", "rate"), 0.7, ours("1", "rate"))];
    scenario(
        "channels",
        "drains of jobs in 1 to 100,000 channels",
        cases,
        targets,
    )
}

pub fn beside() -> Scenario {
    let delayed = |bench: &Bench| {
        let later = Spawn::backlog(bench.sizes.scaled(1_000_000)).with("--delay 86400");
        drain_after(
            bench,
            &[later],
            &Spawn::backlog(bench.sizes.jobs),
            &Drain::by(1),
            false,
        )
    };
    let foreign = |bench: &Bench| {
        let foreign = bench.sizes.scaled(10_000);
        let in_front = Spawn::backlog(10 * foreign).channels(foreign).with("--foreign");
        drain_after(
            bench,
            &[in_front],
            &Spawn::backlog(bench.sizes.jobs),
            &Drain::by(1).with("--subscribe"),
            false,
        )
    };
    let alone = |bench: &Bench| drain(bench, &Spawn::backlog(bench.sizes.jobs), &Drain::by(1));
    let subscribed = |bench: &Bench| {
        drain(
            bench,
            &Spawn::backlog(bench.sizes.jobs),
            &Drain::by(1).with("--subscribe"),
        )
    };
    let cases = vec![
        case("alone", System::Sqlxmq, alone),
        case("1M delayed beside", System::Sqlxmq, delayed),
        case("alone, subscribed", System::Sqlxmq, subscribed),
        case("10k other channels in front, subscribed", System::Sqlxmq, foreign),
    ];
    let targets = vec![
        at_least(ours("1M delayed beside", "rate"), 0.95, ours("alone", "rate")),
        at_least(
            ours("10k other channels in front, subscribed", "rate"),
            0.9,
            ours("alone, subscribed", "rate"),
        ),
    ];
    scenario(
        "beside",
        "drains with other jobs there that are not to be run",
        cases,
        targets,
    )
}

pub fn ordered() -> Scenario {
    let of = |words: &'static str| {
        move |bench: &Bench| {
            let backlog = Spawn::backlog(bench.sizes.jobs).channels(1_000).with(words);
            drain(bench, &backlog, &Drain::by(1))
        }
    };
    let cases = vec![
        case("unordered", System::Sqlxmq, of("")),
        case("ordered", System::Sqlxmq, of("--ordered")),
    ];
    let targets = vec![at_least(ours("ordered", "rate"), 0.5, ours("unordered", "rate"))];
    scenario(
        "ordered",
        "drains of 1,000 channels, in order and not",
        cases,
        targets,
    )
}
