//! Runs the checker over one configuration.

use std::num::NonZero;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::config::Config;
use crate::mechanism::Mechanism;
use crate::protocol::Protocol;

/// What was explored, and what was found.
#[derive(Debug)]
pub struct Outcome {
    /// Different states.
    pub states: usize,
    /// Steps from the start to the farthest of them.
    pub depth: usize,
    /// Whether it was given up before its end.
    pub is_cut: bool,
    /// How long it took.
    pub took: Duration,
    /// Properties that do not hold, with the shortest way to show it.
    pub violations: Vec<Violation>,
}

/// A property that does not hold.
#[derive(Debug)]
pub struct Violation {
    /// Which.
    pub property: &'static str,
    /// The steps that lead there.
    pub steps: Vec<String>,
}

/// Explores every state of a configuration.
///
/// # Panics
///
/// If the configuration is beyond what the model has room for.
pub fn check(config: Config) -> Outcome {
    explore(config, &[], None, None)
}

/// The same, but gives up after so many steps.
///
/// # Panics
///
/// If the configuration is beyond what the model has room for.
pub fn check_up_to(config: Config, limit: usize) -> Outcome {
    explore(config, &[], None, Some(limit))
}

/// Explores a configuration without some mechanisms, until one property is found not to hold.
///
/// # Panics
///
/// If the configuration is beyond what the model has room for.
pub fn check_without(config: Config, without: &'static [Mechanism], until: &'static str) -> Outcome {
    explore(config, without, Some(until), None)
}

fn explore(
    config: Config,
    without: &'static [Mechanism],
    until: Option<&'static str>,
    limit: Option<usize>,
) -> Outcome {
    assert!(
        config.is_sound(),
        "`{}` is beyond what the model has room for",
        config.name
    );
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = Protocol { config, without }.checker().threads(threads);
    if let Some(property) = until {
        builder = builder.finish_when(HasDiscoveries::AnyOf([property].into()));
    }
    if let Some(limit) = limit {
        builder = builder.target_state_count(limit);
    }
    let checker = builder.spawn_bfs().join();
    let mut violations: Vec<Violation> = checker
        .discoveries()
        .into_iter()
        .map(|(property, path)| Violation {
            property,
            steps: path
                .into_actions()
                .iter()
                .map(|action| format!("{action:?}"))
                .collect(),
        })
        .collect();
    violations.sort_by_key(|violation| (violation.steps.len(), violation.property));
    Outcome {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        is_cut: limit.is_some_and(|limit| checker.state_count() >= limit),
        took: started.elapsed(),
        violations,
    }
}
