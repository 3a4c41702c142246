//! What a job's function may say about its end beyond Ok and Err.

use std::time::Duration;

/// How an attempt is to end: what a job's function returns, by itself or in an `Ok`.
///
/// It decides for functions that own their `CurrentJob` as well. For them [`Outcome::Done`] completes nothing: who owns the job
/// completes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The job is done. A job that is kept by its runner is completed.
    Done,
    /// The attempt has failed, and the next one starts after that time, whatever the job's backoff. A job that has no attempt
    /// left is dead.
    Retry {
        /// The time until the next attempt. At most 100 years.
        after: Duration,
    },
    /// The job is put off for that time. No attempt is used.
    Snooze(Duration),
    /// The job is dead at once, for that reason, whatever attempts are left.
    Dead(String),
}

impl Outcome {
    /// Returns [`Outcome::Dead`] with the text of `reason`.
    pub fn dead(reason: impl std::fmt::Display) -> Self {
        Self::Dead(reason.to_string())
    }
}
