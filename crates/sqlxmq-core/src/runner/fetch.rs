//! Fetches the payloads of claimed jobs that did not come with the claim, and hands them on, to be started where there is room.

use std::time::Duration;

use futures_util::StreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::dispatch;
use super::error::{JobUndelivered, describe};
use super::prefetch::PAUSE_OF_UNSTARTED;
use super::session::{Session, timed_out};
use super::undelivered::Undelivered;
use super::unstarted::Unstarted;
use crate::store::runner::{self as store, Payload};

/// A big payload takes its time on a slow network, and nothing is seen of it until it is whole. Still, a half-open connection
/// is replaced, and the next job started, within 15 seconds: jobs have connections of their own to replace then.
const PAYLOAD_DEADLINE: Duration = Duration::from_secs(10);

/// Jobs whose payloads are to be fetched.
pub(super) struct Unfetched(Unstarted);

impl Unfetched {
    /// Starts the jobs whose payloads came with their claim: all of them, or none. `Some`: those that are left.
    pub(super) fn after(
        mut unstarted: Unstarted,
        payloads: Vec<Payload>,
        undelivered: &Undelivered,
    ) -> Option<Self> {
        undelivered.arrived(payloads.iter().map(|payload| payload.id));
        if payloads.len() == unstarted.len() {
            unstarted.start(payloads);
            return None;
        }
        unstarted.start_all(payloads);
        Some(Self(unstarted))
    }

    /// Fetches them and starts each job as soon as its payload is there.
    pub(super) async fn fetch(
        mut self,
        session: &mut Session,
        undelivered: &Undelivered,
    ) -> Result<(), sqlx::Error> {
        let (suspects, ids): (Vec<Uuid>, Vec<Uuid>) =
            self.0.left().partition(|id| undelivered.is_suspect(*id));
        // At once: a claim is bounded, in jobs and in bytes.
        let together = (!ids.is_empty()).then_some(&*ids);
        for asked in together.into_iter().chain(suspects.chunks(1)) {
            if self.0.is_stopping() {
                break;
            }
            if let Err(error) = self.fetch_all(asked, session, undelivered).await {
                self.0.give_back(PAUSE_OF_UNSTARTED);
                return Err(error);
            }
        }
        // Not started because the runner stops: given back, no attempt used.
        drop(self);
        Ok(())
    }

    async fn fetch_all(
        &mut self,
        ids: &[Uuid],
        session: &mut Session,
        undelivered: &Undelivered,
    ) -> Result<(), sqlx::Error> {
        let mut connection = session.take().await?;
        let answer = self.start_rows(&mut connection, ids, undelivered).await;
        if let Err(error) = session.settle(connection, answer) {
            self.note_missing(ids, undelivered, &error);
            return Err(error);
        }
        // Cancelled or cleared between the claim and now.
        undelivered.arrived(ids.iter().copied());
        for id in ids {
            if let Some((attempt, _slot)) = self.0.take(*id) {
                attempt.incarnation.forget(&attempt);
                let _ = attempt.lost();
            }
        }
        Ok(())
    }

    /// Fails the attempt of a job whose payload does not arrive again and again. The others will be given back.
    fn note_missing(&mut self, ids: &[Uuid], undelivered: &Undelivered, error: &sqlx::Error) {
        let missing = self.0.left().filter(|id| ids.contains(id));
        let Some(id) = undelivered.missed(ids, missing) else {
            return;
        };
        if let Some((attempt, slot)) = self.0.take(id) {
            let reason = describe(error);
            dispatch::fail_undelivered(self.0.shared(), &attempt, &slot, JobUndelivered { id, reason });
        }
    }

    async fn start_rows(
        &mut self,
        connection: &mut PgConnection,
        ids: &[Uuid],
        undelivered: &Undelivered,
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
            undelivered.arrived([payload.id]);
            self.0.start_one(payload);
        }
    }
}
