//! What a runner costs that has nothing to do.

use super::words::{at_most, case, ours, queues, scenario};
use crate::bench::{
    case::{Bench, Case, Scenario},
    measure::idle,
    programs::System,
};

pub fn idles() -> Scenario {
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
