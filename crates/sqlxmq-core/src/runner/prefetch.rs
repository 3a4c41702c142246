//! Jobs that were claimed ahead of the places they will run in, and the task that starts each when a job before it has ended.
//!
//! See [`pace`](super::pace) for how many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::attempt::Attempt;
use super::complete::What;
use super::dispatch;
use super::shared::Shared;
use super::slots::Slot;
use crate::store::runner::Payload;

/// What could not be started for so long goes back to the queue: the jobs before it take longer than those that the pace was judged
/// by, and another runner may have a place.
const PATIENCE: Duration = Duration::from_millis(100);

/// A job whose start panics is given back for this long, so that it does not come round at once.
pub(super) const PAUSE_OF_UNSTARTED: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Prefetched {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The runner stops: nobody will start what comes now.
    is_closed: bool,
}

struct Waiting {
    attempt: Arc<Attempt>,
    slot: Arc<Slot>,
    payload: Payload,
    since: Instant,
}

impl Prefetched {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest there.
    fn first_since(&self) -> Option<Instant> {
        self.queue().waiting.front().map(|first| first.since)
    }

    fn take_first(&self, is_due: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
        let waiting = &mut self.queue().waiting;
        match waiting.front() {
            Some(first) if is_due(first) => waiting.pop_front(),
            _ => None,
        }
    }
}

/// Starts the job, or keeps it until there is a place. Jobs start in the order in which they come here.
pub(super) fn admit(shared: &Arc<Shared>, attempt: Arc<Attempt>, slot: Arc<Slot>, payload: Payload) {
    {
        let mut queue = shared.prefetched.queue();
        if queue.is_closed {
            drop(queue);
            return give_back_one(shared, &attempt, &slot, Duration::ZERO);
        }
        if !queue.waiting.is_empty() || !slot.start(shared.settings.max_concurrency) {
            queue.waiting.push_back(Waiting {
                attempt,
                slot,
                payload,
                since: Instant::now(),
            });
            drop(queue);
            return shared.prefetched.arrived.notify_one();
        }
    }
    // Not under the lock: users' subscribers are called in there.
    dispatch::start(shared, attempt, slot, payload);
}

/// Starts what waits as soon as it may run, until the runner stops.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let limit = shared.settings.max_concurrency;
    while !shared.stopping.is_cancelled() {
        let Some(since) = shared.prefetched.first_since() else {
            tokio::select! {
                // A job that has come meanwhile is remembered.
                () = shared.prefetched.arrived.notified() => {}
                // A token loses nothing.
                () = shared.stopping.cancelled() => return,
            }
            continue;
        };
        tokio::select! {
            biased;
            // A token loses nothing.
            () = shared.stopping.cancelled() => return,
            // Reads a count: loses nothing. Before the timer: what can start is not given back, however late we are.
            () = shared.slots.running_below(limit) => start_those_with_room(shared),
            // A timer loses nothing.
            () = tokio::time::sleep_until((since + PATIENCE).into()) => give_back_late(shared),
        }
    }
}

fn start_those_with_room(shared: &Arc<Shared>) {
    let limit = shared.settings.max_concurrency;
    while let Some(next) = shared.prefetched.take_first(|first| first.slot.start(limit)) {
        let Waiting {
            attempt,
            slot,
            payload,
            ..
        } = next;
        let starting = Starting {
            shared,
            attempt: &attempt,
            slot: &slot,
        };
        dispatch::start(shared, Arc::clone(&attempt), Arc::clone(&slot), payload);
        drop(starting);
    }
}

fn give_back_late(shared: &Arc<Shared>) {
    let now = Instant::now();
    let is_late = |first: &Waiting| now.saturating_duration_since(first.since) >= PATIENCE;
    shared.slots.note_given_back();
    while let Some(late) = shared.prefetched.take_first(is_late) {
        give_back_one(shared, &late.attempt, &late.slot, Duration::ZERO);
    }
}

/// Gives back whatever waits, and what may still come, no attempt used.
pub(crate) fn close(shared: &Arc<Shared>) {
    shared.prefetched.queue().is_closed = true;
    while let Some(job) = shared.prefetched.take_first(|_| true) {
        give_back_one(shared, &job.attempt, &job.slot, Duration::ZERO);
    }
}

fn give_back_one(shared: &Arc<Shared>, attempt: &Arc<Attempt>, slot: &Arc<Slot>, delay: Duration) {
    if attempt.released() {
        shared.order(attempt, Some(slot), What::Release { delay });
    }
}

/// A job that is being started. If that panics, nobody else would give it back.
struct Starting<'a> {
    shared: &'a Arc<Shared>,
    attempt: &'a Arc<Attempt>,
    slot: &'a Arc<Slot>,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            give_back_one(self.shared, self.attempt, self.slot, PAUSE_OF_UNSTARTED);
        }
    }
}
