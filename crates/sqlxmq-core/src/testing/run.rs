//! Running jobs in turn.

use super::{Ran, TestQueue};
use crate::registry::JobRegistry;

/// Jobs that spawn each other for ever are a mistake of the test's, and must not hang it.
const DRAIN_LIMIT: usize = 1_000;

impl TestQueue {
    /// Runs everything that is due, one job after the other, and what that spawns. Returns each attempt, in order.
    ///
    /// Jobs whose names the registry does not know stay where they are. When it returns, every outcome is stored.
    ///
    /// # Panics
    ///
    /// Panics if the registry can't be run, the database can't be reached, or there is no end of it after 1000 attempts.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the job that runs goes on in the background.
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

    /// Runs the next job that is due. Returns `None` if there is none.
    ///
    /// # Panics
    ///
    /// Panics if the registry can't be run or the database can't be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the job that runs goes on in the background.
    pub async fn run_one(&self, registry: &JobRegistry) -> Option<Ran> {
        self.run(registry, 1).await.pop()
    }

    async fn run(&self, registry: &JobRegistry, limit: usize) -> Vec<Ran> {
        let mut options = registry.runner_of_a_copy(self.pool());
        options.set_concurrency(1, 1).set_listen(false);
        match options.run_in_turn(limit).await {
            Ok(ran) => ran,
            Err(error) => panic!("failed to run the test's jobs: {error}: {error:?}"),
        }
    }
}
