//! Completions that share a statement, and how it is sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::order::Pending;
use super::transact::Sent;
use super::wire::Wire;
use crate::runner::claim::{ClaimInFlight, ClaimedJob};
use crate::runner::in_a_row::InARow;
use crate::runner::session::STATEMENT_DEADLINE;
use crate::runner::shared::Shared;
use crate::store::runner::{self as store, Completed, CompletedAndClaimed, Locked};

/// So many completions of ordered jobs are worth a second connection, since each starts the next in line: 23 µs, where one that only ends
/// a job is 4, and waits for the disk most of the time. In turn on two cores, 1,000 channels: 33.5 and 40.9 thousand jobs a second;
/// jobs without order, if they were halved as well: 101 and 92.
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

/// What became of them.
pub(super) struct Answered {
    pub(super) runner: Uuid,
    pub(super) group: Vec<Pending>,
    pub(super) sent: Sent<Completed, Option<Completed>>,
    /// Where the id of the transaction means something.
    pub(super) timeline: Option<String>,
    /// Whether a claim went with them.
    pub(super) has_claimed: bool,
    /// Whether jobs behind them have started.
    pub(super) has_started_next: bool,
}

impl Batch {
    /// Sends them, and starts the next in line as soon as they are known: in our hands before the places of the jobs before them are free for
    /// others.
    pub(super) async fn send(mut self, wire: &mut Wire, shared: &Arc<Shared>) -> Answered {
        let has_claimed = self.in_flight.is_some();
        let mut has_started_next = false;
        // If that is not known: what was claimed, if it was, is nobody's, and the next audit ends those attempts, as after a claim whose
        // answer was lost.
        let sent = self.sent(wire, shared).await.map(|mut answer| {
            has_started_next = self.start_next(&mut answer, shared);
            answer.completed
        });
        Answered {
            runner: self.runner,
            group: self.group,
            sent,
            timeline: wire.timeline(),
            has_claimed,
            has_started_next,
        }
    }

    fn start_next(&mut self, answer: &mut CompletedAndClaimed, shared: &Arc<Shared>) -> bool {
        let payloads = answer.take_payloads();
        let Some(in_flight) = self.in_flight.take().filter(|_| !answer.next_ids.is_empty()) else {
            return false;
        };
        if let Some(unstarted) = in_flight.answered(shared, next_jobs(answer, &self.group)) {
            unstarted.start_beside(payloads);
        }
        true
    }

    async fn sent(
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

fn next_jobs<'a>(
    answer: &'a CompletedAndClaimed,
    group: &'a [Pending],
) -> impl Iterator<Item = ClaimedJob> + 'a {
    let before: HashMap<Uuid, InARow> = group
        .iter()
        .map(|pending| (pending.order.attempt.id, pending.order.attempt.in_a_row))
        .collect();
    answer.next().filter_map(move |next| {
        Some(ClaimedJob {
            id: next.id,
            attempt: next.attempt,
            in_a_row: before.get(&next.behind)?.next(),
        })
    })
}
