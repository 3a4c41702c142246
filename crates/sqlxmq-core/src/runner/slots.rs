//! How many jobs are running, from claim to stored outcome.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The count. Jobs start and end far more often than anybody waits for them, so whoever does says so.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    running: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Slots {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn take(self: &Arc<Self>) -> Arc<Slot> {
        self.running.fetch_add(1, Ordering::SeqCst);
        Arc::new(Slot(Arc::clone(self)))
    }

    /// Waits until fewer than `limit` jobs run.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn below(&self, limit: usize) {
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            let mut freed = pin!(self.freed.notified());
            // Before the count is looked at: a slot that is freed after that wakes us.
            freed.as_mut().enable();
            if self.running() < limit {
                return;
            }
            freed.await;
        }
    }
}

/// Somebody who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One running job. Shared by everything that may still decide it; counted until the last is gone.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.freed.notify_waiters();
        }
    }
}
