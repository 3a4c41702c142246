//! Running jobs in turn.

use super::{Ended, Ran, TestQueue};
use crate::registry::JobRegistry;

/// Jobs that spawn each other for ever are a mistake of the test's, and must not hang it.
const DRAIN_LIMIT: usize = 1_000;

impl TestQueue {
    /// Runs everything that is due, one job after the other, and what that spawns. Returns each attempt, in order.
    ///
    /// Jobs run in the task of the caller: they see its task-locals and its `tracing` subscriber, and what they print belongs to
    /// the test. A panic in one is a failed attempt here as elsewhere; [`complete_all`](Self::complete_all) lets it fail the test.
    ///
    /// Jobs whose names the registry does not know stay where they are. When it returns, every outcome is stored.
    ///
    /// # Panics
    ///
    /// Panics if the registry can't be run, the database can't be reached, or there is no end of it after 1000 attempts.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the job that runs is dropped with it, and given back with no attempt used.
    pub async fn drain(&self, registry: &JobRegistry) -> Vec<Ran> {
        let ran = self.run(registry, DRAIN_LIMIT).await;
        if ran.len() == DRAIN_LIMIT {
            let last = &ran[DRAIN_LIMIT - 1];
            panic!(
                "the queue is not empty after {DRAIN_LIMIT} attempts: do jobs spawn each other, or snooze for no time? The \
                 last was {last:?}; `run_one` runs them one by one"
            );
        }
        ran
    }

    /// Does the same as [`drain`](Self::drain), and expects every attempt to complete its job. Returns how many did.
    ///
    /// So an `assert!` that fails inside of a job fails the test.
    ///
    /// # Panics
    ///
    /// Panics as [`drain`](Self::drain), and if an attempt ends otherwise: the message has its error.
    ///
    /// # Cancel safety
    ///
    /// As [`drain`](Self::drain).
    pub async fn complete_all(&self, registry: &JobRegistry) -> usize {
        let ran = self.drain(registry).await;
        if let Some(other) = ran.iter().find(|one| one.ended != Ended::Completed) {
            panic!(
                "attempt {} of job `{}` was to complete it, but ended with {:?}: {}",
                other.attempt,
                other.name,
                other.ended,
                other.error.as_deref().unwrap_or("no error was recorded")
            );
        }
        ran.len()
    }

    /// Runs the next job that is due, in the task of the caller. Returns `None` if there is none: jobs that are delayed, back off or
    /// are held, and those of names that the registry does not know, stay where they are.
    ///
    /// # Panics
    ///
    /// Panics if the registry can't be run or the database can't be reached.
    ///
    /// # Cancel safety
    ///
    /// As [`drain`](Self::drain).
    pub async fn run_one(&self, registry: &JobRegistry) -> Option<Ran> {
        self.run(registry, 1).await.pop()
    }

    async fn run(&self, registry: &JobRegistry, limit: usize) -> Vec<Ran> {
        let mut options = registry.runner_of_a_copy(self.pool());
        options.set_concurrency(1, 1).set_listen(false);
        match options.run_in_turn(limit).await {
            Ok(ran) => ran,
            // `{:?}` is the text with its causes.
            Err(error) => panic!("failed to run the test's jobs: {error:?}"),
        }
    }
}
