//! The words in which scenarios are written.

use crate::bench::{
    case::{Bench, Case, Scenario, Target, Which},
    programs::{PEERS, System},
    results::Figures,
};
use anyhow::Result;

pub fn case(
    name: &str,
    system: System,
    measure: impl Fn(&Bench) -> Result<Option<Figures>> + 'static,
) -> Case {
    Case {
        name: name.to_owned(),
        system,
        measure: Box::new(measure),
    }
}

pub fn scenario(name: &'static str, about: &'static str, cases: Vec<Case>, targets: Vec<Target>) -> Scenario {
    Scenario {
        name,
        about,
        only_by_name: false,
        cases,
        targets,
    }
}

pub fn which(case: &str, system: System, figure: &'static str) -> Which {
    (case.to_owned(), system, figure)
}

pub fn ours(case: &str, figure: &'static str) -> Which {
    which(case, System::Sqlxmq, figure)
}

pub fn at_least(of: Which, ratio: f64, to: Which) -> Target {
    Target::Ratio {
        of,
        to,
        at_least: ratio,
    }
}

pub fn at_most(of: Which, bound: f64) -> Target {
    Target::AtMost { of, bound }
}

/// Ours and all peers.
pub fn queues() -> impl Iterator<Item = System> {
    [System::Sqlxmq].into_iter().chain(PEERS)
}
