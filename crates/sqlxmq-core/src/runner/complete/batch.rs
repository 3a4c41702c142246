//! Completions that share a statement, and how it is sent.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::order::Pending;
use super::transact::Sent;
use super::wire::Wire;
use crate::runner::claim::ClaimInFlight;
use crate::runner::session::STATEMENT_DEADLINE;
use crate::runner::shared::Shared;
use crate::store::runner::{self as store, Completed, CompletedAndClaimed, Locked};

/// So many completions of ordered jobs are worth a second connection, since each starts the next in line: 23 µs, where one that only ends
/// a job is 4, and waits for the disk most of the time. In turn on two cores, 1,000 channels: 36.8 and 40 thousand jobs a second; jobs
/// without order: 101 and 98.
pub(super) const IN_HALVES_FROM: usize = 256;

/// By the lowest bit of their ids, which is random unless somebody has chosen it. So whatever an attempt has asked for is in one of them.
pub(super) fn halves(group: Vec<Pending>) -> (Vec<Pending>, Vec<Pending>) {
    group
        .into_iter()
        .partition(|pending| pending.order.attempt.id.as_u128() & 1 == 0)
}

/// Completions that share a statement.
pub(super) struct Batch {
    pub(super) runner: Uuid,
    pub(super) group: Vec<Pending>,
    /// Starts the next in line.
    pub(super) in_flight: Option<ClaimInFlight>,
}

impl Batch {
    pub(super) async fn send(
        &self,
        wire: &mut Wire,
        shared: &Arc<Shared>,
    ) -> Sent<CompletedAndClaimed, Option<Completed>> {
        let runner = self.runner;
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = self.group.iter().map(Pending::key).unzip();
        let Some(in_flight) = &self.in_flight else {
            return self
                .send_by(wire, move |connection| {
                    Box::pin(async move {
                        store::complete(connection, runner, &ids, &claims, Locked::Skip)
                            .await
                            .map(CompletedAndClaimed::without_next)
                    })
                })
                .await;
        };
        let now = Instant::now();
        let pausing: Vec<Uuid> = self
            .group
            .iter()
            .map(|pending| &pending.order.attempt)
            .filter(|attempt| !attempt.in_a_row.may_go_on(now))
            .map(|attempt| attempt.id)
            .collect();
        let (claim, shared) = (in_flight.number(), Arc::clone(shared));
        self.send_by(wire, move |connection| {
            Box::pin(async move {
                let next = store::NextInLine {
                    claim,
                    name_keys: shared.name_keys.as_deref(),
                    pausing: &pausing,
                };
                store::complete_and_claim(connection, runner, &ids, &claims, &next).await
            })
        })
        .await
    }

    /// In one round trip if nobody waits to be told what became of it.
    async fn send_by<F>(&self, wire: &mut Wire, work: F) -> Sent<CompletedAndClaimed, Option<Completed>>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<CompletedAndClaimed, sqlx::Error>>
            + Send,
    {
        match self.group.iter().any(Pending::is_waited_for) {
            true => wire
                .transact(STATEMENT_DEADLINE, work)
                .await
                .map_known(|answer| Some(answer.completed)),
            false => wire
                .send_alone(STATEMENT_DEADLINE, work)
                .await
                .map_known(|()| None),
        }
    }
}
