//! From the claim to the start: fetches the payloads of claimed jobs and hands them on, to be started where there is room.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::attempt::Attempt;
use super::complete::What;
use super::dispatch;
use super::error::{JobUndelivered, describe};
use super::poll::Poller;
use super::prefetch::{self, PAUSE_OF_UNSTARTED};
use super::session::timed_out;
use super::shared::Shared;
use super::slots::Slot;
use crate::store::runner::{self as store, Payload};

/// Payloads are fetched this many at a time. Their bytes are bounded by the claim already.
const PAYLOADS_AT_ONCE: usize = 500;

/// To start more than so many takes longer than it takes to hand them to a task of their own, which the next claim does not wait for.
const STARTED_BESIDE: usize = 64;

/// A big payload takes its time on a slow network, and nothing is seen of it until it is whole. Still, a half-open connection
/// is replaced, and the next job started, within 15 seconds: jobs have connections of their own to replace then.
const PAYLOAD_DEADLINE: Duration = Duration::from_secs(10);

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

    /// In the order in which they are to be started.
    pub(super) fn add(&mut self, attempt: Arc<Attempt>, slot: Arc<Slot>) {
        self.jobs.push(Job {
            id: attempt.id,
            held: Some((attempt, slot)),
        });
    }

    /// The places of those that are not started yet.
    fn left(&self) -> impl Iterator<Item = Uuid> {
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

    fn take(&mut self, id: Uuid) -> Option<(Arc<Attempt>, Arc<Slot>)> {
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

    fn start_all(&mut self, payloads: Vec<Payload>) {
        if !self.shared.stopping.is_cancelled() {
            for payload in payloads {
                self.start_one(payload);
            }
        }
    }

    fn start_one(&mut self, payload: Payload) {
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

impl Poller {
    /// Starts each job as soon as its payload is there, and fetches those that did not come with the claim.
    pub(super) async fn start(
        &mut self,
        mut unstarted: Unstarted,
        payloads: Vec<Payload>,
    ) -> Result<(), sqlx::Error> {
        for payload in &payloads {
            self.undelivered.arrived(payload.id);
        }
        if payloads.len() == unstarted.jobs.len() {
            unstarted.start(payloads);
            return Ok(());
        }
        unstarted.start_all(payloads);
        let (suspects, ids): (Vec<Uuid>, Vec<Uuid>) =
            unstarted.left().partition(|id| self.undelivered.is_suspect(*id));
        for chunk in ids.chunks(PAYLOADS_AT_ONCE).chain(suspects.chunks(1)) {
            if self.shared.stopping.is_cancelled() {
                break;
            }
            if let Err(error) = self.start_chunk(chunk, &mut unstarted).await {
                unstarted.give_back(PAUSE_OF_UNSTARTED);
                return Err(error);
            }
        }
        // Not started because the runner stops: given back, no attempt used.
        drop(unstarted);
        Ok(())
    }

    async fn start_chunk(&mut self, ids: &[Uuid], unstarted: &mut Unstarted) -> Result<(), sqlx::Error> {
        let mut connection = self.take().await?;
        let answer = self.start_rows(&mut connection, ids, unstarted).await;
        if let Err(error) = self.session.settle(connection, answer) {
            self.note_missing(ids, unstarted, &error);
            return Err(error);
        }
        // Cancelled or cleared between the claim and now.
        for id in ids {
            self.undelivered.arrived(*id);
            if let Some((attempt, _slot)) = unstarted.take(*id) {
                attempt.incarnation.forget(&attempt);
                let _ = attempt.lost();
            }
        }
        Ok(())
    }

    /// Fails the attempt of a job whose payload does not arrive again and again. The others will be given back.
    fn note_missing(&mut self, ids: &[Uuid], unstarted: &mut Unstarted, error: &sqlx::Error) {
        let missing = unstarted.left().filter(|id| ids.contains(id));
        let Some(id) = self.undelivered.missed(ids, missing) else {
            return;
        };
        if let Some((attempt, slot)) = unstarted.take(id) {
            let reason = describe(error);
            dispatch::fail_undelivered(&self.shared, &attempt, &slot, JobUndelivered { id, reason });
        }
    }

    async fn start_rows(
        &mut self,
        connection: &mut PgConnection,
        ids: &[Uuid],
        unstarted: &mut Unstarted,
    ) -> Result<(), sqlx::Error> {
        let mut rows = store::payloads(connection, ids);
        loop {
            let next: Option<Result<Payload, sqlx::Error>> =
                match tokio::time::timeout(PAYLOAD_DEADLINE, rows.next()).await {
                    Ok(next) => next,
                    Err(_) => return Err(timed_out()),
                };
            let Some(row) = next else { return Ok(()) };
            let payload = row?;
            self.undelivered.arrived(payload.id);
            unstarted.start_one(payload);
        }
    }
}
