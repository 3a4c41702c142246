//! What a scenario is made of. No measuring here.

use super::{programs::System, results::Figures, site::Site};
use anyhow::Result;
use std::path::Path;

/// Cases that belong together, and what they are to show.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// Too long for a run of everything.
    pub only_by_name: bool,
    pub cases: Vec<Case>,
    pub targets: Vec<Target>,
}

/// Measures. `None`: the system has not got what is asked for.
pub type Measure = dyn Fn(&Bench) -> Result<Option<Figures>>;

/// One measurement of one system.
pub struct Case {
    pub name: String,
    pub system: System,
    pub measure: Box<Measure>,
}

/// What a case has at hand.
pub struct Bench<'a> {
    pub site: &'a Site,
    pub program: &'a Path,
    pub sizes: &'a Sizes,
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Sizes {
    pub quick: bool,
    /// Jobs of a run.
    pub jobs: usize,
    /// How long jobs are produced and consumed.
    pub seconds: u64,
}

impl Sizes {
    pub fn new(quick: bool, jobs: Option<usize>, seconds: Option<u64>) -> Self {
        Self {
            quick,
            jobs: jobs.unwrap_or(if quick { 10_000 } else { 100_000 }),
            seconds: seconds.unwrap_or(if quick { 6 } else { 60 }),
        }
    }

    /// A number of jobs that was given for runs of 100,000.
    pub fn scaled(&self, of_a_hundred_thousand: usize) -> usize {
        (of_a_hundred_thousand * self.jobs).div_ceil(100_000)
    }
}

/// A figure of a case: (case, system, figure).
pub type Which = (String, System, &'static str);

/// What a figure is to be.
pub enum Target {
    /// At least this many times the other, in the median of the ratios of each round.
    Ratio { of: Which, to: Which, at_least: f64 },
    /// At most this, in the median.
    AtMost { of: Which, bound: f64 },
}
