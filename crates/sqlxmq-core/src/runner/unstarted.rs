//! Jobs that are claimed and not started yet.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::attempt::Attempt;
use super::complete::What;
use super::prefetch::{self, PAUSE_OF_UNSTARTED};
use super::shared::Shared;
use super::slots::Slot;
use crate::store::runner::Payload;

/// To start more than so many takes longer than it takes to hand them to a task of their own, which the next claim does not wait for.
const STARTED_BESIDE: usize = 64;

/// Jobs that are claimed and not started. However it ends, by a panic say, what is left is given back: nobody else would, since
/// the runner holds them.
pub(super) struct Unstarted {
    shared: Arc<Shared>,
    /// As they were claimed.
    jobs: Vec<Job>,
    /// Where the next payload belongs, most likely: they come in that order.
    next: usize,
}

struct Job {
    id: Uuid,
    /// `None`: it is started, or gone.
    held: Option<(Arc<Attempt>, Arc<Slot>)>,
}

impl Unstarted {
    pub(super) fn none(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            jobs: Vec::new(),
            next: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.stopping.is_cancelled()
    }

    /// In the order in which they are to be started.
    pub(super) fn add(&mut self, attempt: Arc<Attempt>, slot: Arc<Slot>) {
        self.jobs.push(Job {
            id: attempt.id,
            held: Some((attempt, slot)),
        });
    }

    /// Those that are not started yet.
    pub(super) fn left(&self) -> impl Iterator<Item = Uuid> {
        self.jobs
            .iter()
            .filter(|job| job.held.is_some())
            .map(|job| job.id)
    }

    fn job(&mut self, id: Uuid) -> Option<&mut Job> {
        let (before, from_next) = self.jobs.split_at(self.next);
        let place = match from_next.iter().position(|job| job.id == id) {
            Some(after) => self.next + after,
            None => before.iter().position(|job| job.id == id)?,
        };
        self.next = place + 1;
        self.jobs.get_mut(place)
    }

    pub(super) fn take(&mut self, id: Uuid) -> Option<(Arc<Attempt>, Arc<Slot>)> {
        self.job(id)?.held.take()
    }

    /// Those that have no payload there are given back.
    pub(super) fn start(mut self, payloads: Vec<Payload>) {
        if payloads.len() <= STARTED_BESIDE {
            return self.start_all(payloads);
        }
        self.start_beside(payloads);
    }

    /// The same in a task of its own, with what it calls of users' code: their subscribers may panic.
    pub(super) fn start_beside(mut self, payloads: Vec<Payload>) {
        let shared = Arc::clone(&self.shared);
        shared.jobs.beside(move || self.start_all(payloads));
    }

    #[cfg(feature = "testing")]
    pub(super) fn last(&self) -> Option<Arc<Attempt>> {
        let (attempt, _slot) = self.jobs.last()?.held.as_ref()?;
        Some(Arc::clone(attempt))
    }

    pub(super) fn start_all(&mut self, payloads: Vec<Payload>) {
        if !self.is_stopping() {
            for payload in payloads {
                self.start_one(payload);
            }
        }
    }

    pub(super) fn start_one(&mut self, payload: Payload) {
        let id = payload.id;
        let shared = Arc::clone(&self.shared);
        let Some(job) = self.job(id) else { return };
        if let Some((attempt, slot)) = job.held.clone() {
            // Only then is it taken: users' subscribers are called in there.
            prefetch::admit(&shared, attempt, slot, payload);
            job.held = None;
        }
    }

    pub(super) fn give_back(&mut self, delay: Duration) {
        for (attempt, slot) in std::mem::take(&mut self.jobs)
            .into_iter()
            .filter_map(|job| job.held)
        {
            if attempt.released() {
                self.shared.order(&attempt, Some(&slot), What::Release { delay });
            }
        }
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        self.give_back(match std::thread::panicking() {
            // Or whatever panics would do so as often as jobs can be claimed.
            true => PAUSE_OF_UNSTARTED,
            false => Duration::ZERO,
        });
    }
}
