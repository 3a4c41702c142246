//! Whoever flushes: a task that is there while jobs wait.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use sqlx::PgPool;

use super::flush::flush;
use super::gathering::Gathering;
use super::kept::Waiting;

/// What the clones of a spawner and its flusher share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pool: PgPool,
    gathering: Mutex<Gathering>,
}

impl Shared {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            gathering: Mutex::default(),
        }
    }

    pub(super) fn gathering(&self) -> MutexGuard<'_, Gathering> {
        // Nothing in it is ever half done.
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one that flushes. With two at a time, 16 tasks were no faster on two cores, and their flushes half as large. Dropped before it
/// is through, with its runtime, it leaves nobody waiting.
pub(super) struct Flusher {
    shared: Arc<Shared>,
    is_through: bool,
}

impl Flusher {
    /// For the caller whose job was the first to wait.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            is_through: false,
        }
    }

    /// Flushes until nobody waits.
    pub(super) async fn run(mut self) {
        while let Some(jobs) = self.next_flush() {
            // The pool's hooks are the user's, and may panic. Whose jobs these are is told so when they are dropped; the next have
            // nothing to do with it.
            if AssertUnwindSafe(flush(&self.shared.pool, jobs))
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!("a flush of spawned jobs panicked");
            }
            // Those who were just answered often have more to spawn: without a turn for them each of their jobs would miss the flush
            // that is about to be sent, and every other flush would be a small one.
            tokio::task::yield_now().await;
        }
    }

    fn next_flush(&mut self) -> Option<Vec<Waiting>> {
        let next = self.shared.gathering().next_flush();
        self.is_through = next.is_none();
        next
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        if !self.is_through {
            // In a statement of its own, or those who are told would find it locked.
            let left = self.shared.gathering().give_up();
            drop(left);
        }
    }
}
