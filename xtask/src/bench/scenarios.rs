//! What is measured, and what it is to show. Sizes are those of a full run; a quick one scales them down.

use super::{
    case::{Bench, Case, Scenario, Target, Which},
    measure::{
        Churn, Drain, Spawn, big_beside_small, churn, drain, drain_after, idle, latency, spawn, under_load,
    },
    programs::{PEERS, System},
    results::Figures,
};
use anyhow::Result;
use std::time::Duration;

/// All, in the order in which they are run.
pub fn all() -> Vec<Scenario> {
    vec![
        drains(),
        completions(),
        spawns(),
        bulk(),
        latencies(),
        load(),
        backlogs(),
        channels(),
        beside(),
        processes(),
        ordered(),
        pin(
            "pin",
            "produce and consume, with and without a transaction that pins xmin",
            None,
        ),
        pin("pin-long", "the same for ten minutes", Some(600)),
        pinned_drain(),
        payloads(),
        big(),
        idles(),
    ]
}

fn case(name: &str, system: System, measure: impl Fn(&Bench) -> Result<Option<Figures>> + 'static) -> Case {
    Case {
        name: name.to_owned(),
        system,
        measure: Box::new(measure),
    }
}

fn scenario(name: &'static str, about: &'static str, cases: Vec<Case>, targets: Vec<Target>) -> Scenario {
    Scenario {
        name,
        about,
        only_by_name: false,
        cases,
        targets,
    }
}

fn which(case: &str, system: System, figure: &'static str) -> Which {
    (case.to_owned(), system, figure)
}

fn ours(case: &str, figure: &'static str) -> Which {
    which(case, System::Sqlxmq, figure)
}

fn at_least(of: Which, ratio: f64, to: Which) -> Target {
    Target::Ratio {
        of,
        to,
        at_least: ratio,
    }
}

fn at_most(of: Which, bound: f64) -> Target {
    Target::AtMost { of, bound }
}

/// Ours and all peers.
fn queues() -> impl Iterator<Item = System> {
    [System::Sqlxmq].into_iter().chain(PEERS)
}

fn drains() -> Scenario {
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

fn completions() -> Scenario {
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

fn spawns() -> Scenario {
    let one_by_one = |bench: &Bench| {
        let jobs = bench.sizes.scaled(50_000);
        spawn(
            bench,
            &Spawn {
                producers: 16,
                batch: 1,
                ..Spawn::backlog(jobs)
            },
        )
    };
    let systems = queues().chain([System::Plain]);
    let cases = systems
        .map(|system| case("16 producers", system, one_by_one))
        .collect();
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
    ];
    scenario(
        "spawn",
        "jobs spawned one by one; without a queue: plain INSERTs of such rows",
        cases,
        targets,
    )
}

fn bulk() -> Scenario {
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

fn latencies() -> Scenario {
    let measure = |bench: &Bench| latency(bench, if bench.sizes.quick { 20 } else { 200 });
    let cases = queues().map(|system| case("idle", system, measure)).collect();
    let targets = vec![
        at_most(ours("idle", "p50_ms"), 1.2),
        at_most(ours("idle", "p99_ms"), 4.0),
    ];
    scenario(
        "latency",
        "from the call of spawn to the start of the job, one at a time",
        cases,
        targets,
    )
}

fn load() -> Scenario {
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

fn backlogs() -> Scenario {
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

fn channels() -> Scenario {
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

fn beside() -> Scenario {
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

fn processes() -> Scenario {
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

fn ordered() -> Scenario {
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

fn pin(name: &'static str, about: &'static str, seconds: Option<u64>) -> Scenario {
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

fn pinned_drain() -> Scenario {
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

/// (name, bytes, jobs of a full run, jobs per batch)
const PAYLOADS: [(&str, usize, usize, usize); 3] = [
    ("none", 0, 100_000, 1_000),
    ("1 kB", 1_000, 100_000, 1_000),
    ("100 kB", 100_000, 2_000, 50),
];

fn payloads() -> Scenario {
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

fn big() -> Scenario {
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

fn idles() -> Scenario {
    let of =
        |channels: usize| move |bench: &Bench| idle(bench, if bench.sizes.quick { 5 } else { 30 }, channels);
    let mut cases: Vec<Case> = queues().map(|system| case("no jobs", system, of(0))).collect();
    cases.push(case(
        "1,000 channels with jobs for tomorrow",
        System::Sqlxmq,
        of(1_000),
    ));
    let targets = vec![
        at_most(ours("no jobs", "statements_per_s"), 2.0),
        at_most(ours("no jobs", "xids_per_s"), 0.0),
        at_most(ours("no jobs", "rss_mb"), 10.0),
        at_most(
            ours("1,000 channels with jobs for tomorrow", "statements_per_s"),
            2.0,
        ),
    ];
    scenario(
        "idle",
        "what a runner costs that has nothing to do",
        cases,
        targets,
    )
}
