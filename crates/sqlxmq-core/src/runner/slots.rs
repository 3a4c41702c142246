//! How many jobs a runner has: from claim to stored outcome, and those of them that run.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The counts. Jobs start and end far more often than anybody waits for them, so whoever does says so.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Claimed, and their outcome not stored yet.
    held: AtomicUsize,
    /// Those of them that were started.
    running: AtomicUsize,
    /// That were started and are held no more, since the runner's start.
    ended: AtomicU64,
    /// How often jobs that were held were given back, since no place became free.
    given_back: AtomicU64,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Slots {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn given_back(&self) -> u64 {
        self.given_back.load(Ordering::SeqCst)
    }

    /// Jobs are about to be given back, since no place has become free.
    pub(crate) fn note_given_back(&self) {
        self.given_back.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn take(self: &Arc<Self>) -> Arc<Slot> {
        self.held.fetch_add(1, Ordering::SeqCst);
        Arc::new(Slot {
            slots: Arc::clone(self),
            is_running: AtomicBool::new(false),
        })
    }

    /// Waits until fewer than `limit` jobs are held.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn held_below(&self, limit: usize) {
        self.below(&self.held, limit).await;
    }

    /// Waits until fewer than `limit` jobs run.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn running_below(&self, limit: usize) {
        self.below(&self.running, limit).await;
    }

    async fn below(&self, count: &AtomicUsize, limit: usize) {
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            let mut freed = pin!(self.freed.notified());
            // Before the count is looked at: a slot that is freed after that wakes us.
            freed.as_mut().enable();
            if count.load(Ordering::SeqCst) < limit {
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

/// One job that is held. Shared by everything that may still decide it; counted until the last is gone.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    is_running: AtomicBool,
}

impl Slot {
    /// Counts the job as running, unless `limit` run already. Asked once for each job that is started.
    #[must_use]
    pub(crate) fn start(&self, limit: usize) -> bool {
        let has_room = self
            .slots
            .running
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |running| {
                (running < limit).then_some(running + 1)
            });
        if has_room.is_ok() {
            self.is_running.store(true, Ordering::SeqCst);
        }
        has_room.is_ok()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if *self.is_running.get_mut() {
            self.slots.ended.fetch_add(1, Ordering::SeqCst);
            self.slots.running.fetch_sub(1, Ordering::SeqCst);
        }
        self.slots.held.fetch_sub(1, Ordering::SeqCst);
        if self.slots.waiting.load(Ordering::SeqCst) > 0 {
            self.slots.freed.notify_waiters();
        }
    }
}
