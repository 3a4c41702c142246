//! The flush of completions, and of the next in line of ordered channels, which start with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::completer::Completer;
use super::order::{Pending, Ticket};
use super::transact::Sent;
use crate::runner::claim::{ClaimInFlight, ClaimedJob};
use crate::runner::error::{Refusal, is_disconnect};
use crate::runner::in_a_row::InARow;
use crate::runner::session::STATEMENT_DEADLINE;
use crate::store::runner::{self as store, Completed, CompletedAndClaimed, Locked};

impl Completer {
    pub(super) async fn complete(&mut self, runner: Uuid, group: Vec<Pending>) {
        // Refused here as well as in the database: past the deadline somebody else may be at it.
        let (late, group): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|pending| pending.order.attempt.incarnation.is_over());
        for pending in late {
            self.refuse(pending, Refusal::LeaseLost);
        }
        if group.is_empty() {
            return;
        }
        match self.claim_beside(&group) {
            Some(in_flight) => self.complete_and_claim(runner, group, in_flight).await,
            None => self.only_complete(runner, group).await,
        }
    }

    /// A claim for the next in line, if this runner may claim now.
    fn claim_beside(&self, group: &[Pending]) -> Option<ClaimInFlight> {
        let lease = &group.first()?.order.attempt.incarnation;
        let is_current = self
            .shared
            .incarnation()
            .is_some_and(|current| Arc::ptr_eq(&current, lease));
        let may_claim = self.starts_next
            && !self.shared.stopping.is_cancelled()
            && !group.iter().any(|pending| pending.alone)
            && is_current
            && lease.is_fresh(Instant::now());
        may_claim.then(|| ClaimInFlight::beside(lease))
    }

    async fn only_complete(&mut self, runner: Uuid, group: Vec<Pending>) {
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = group.iter().map(Pending::key).unzip();
        let sent = self
            .send(&group, move |connection| {
                Box::pin(
                    async move { store::complete(connection, runner, &ids, &claims, Locked::Skip).await },
                )
            })
            .await;
        self.completed(runner, group, sent).await;
    }

    /// In one round trip if nobody waits to be told what became of it.
    async fn send<T, F>(&mut self, group: &[Pending], work: F) -> Sent<T, Option<T>>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    {
        match group.iter().any(Pending::is_waited_for) {
            true => self.transact(STATEMENT_DEADLINE, work).await.map_known(Some),
            false => self
                .send_alone(STATEMENT_DEADLINE, work)
                .await
                .map_known(|()| None),
        }
    }

    async fn complete_and_claim(&mut self, runner: Uuid, group: Vec<Pending>, in_flight: ClaimInFlight) {
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = group.iter().map(Pending::key).unzip();
        let now = Instant::now();
        let pausing: Vec<Uuid> = group
            .iter()
            .map(|pending| &pending.order.attempt)
            .filter(|attempt| !attempt.in_a_row.may_go_on(now))
            .map(|attempt| attempt.id)
            .collect();
        let (claim, shared) = (in_flight.number(), Arc::clone(&self.shared));
        let sent = self
            .send(&group, move |connection| {
                Box::pin(async move {
                    let next = store::NextInLine {
                        claim,
                        name_keys: shared.name_keys.as_deref(),
                        pausing: &pausing,
                    };
                    store::complete_and_claim(connection, runner, &ids, &claims, &next).await
                })
            })
            .await;
        let mut answer = match sent {
            Sent::Committed(answer) => answer,
            // What was claimed, if it was, is nobody's: the next audit ends those attempts, as after a claim whose answer was lost.
            Sent::Unknown(answer, error) => {
                let known = answer.map(|answer| answer.completed);
                return self.completed(runner, group, Sent::Unknown(known, error)).await;
            }
            // Each again, and without a claim, which may be what has failed.
            Sent::NotCommitted(error) if !is_disconnect(&error) => {
                return self.one_by_one("complete jobs", group, &error);
            }
            Sent::NotCommitted(error) => return self.retry("complete jobs", group, error).await,
        };
        let payloads = answer.take_payloads();
        // In our hands before the places of the jobs before them are free for others.
        let unstarted = match answer.next_ids.is_empty() {
            true => None,
            false => in_flight.answered(&self.shared, next_jobs(&answer, &group)),
        };
        if let Some(unstarted) = unstarted {
            unstarted.start_beside(payloads);
        }
        self.completed(runner, group, Sent::Committed(answer.completed))
            .await;
    }

    async fn completed(
        &mut self,
        runner: Uuid,
        group: Vec<Pending>,
        sent: Sent<Completed, Option<Completed>>,
    ) {
        match sent {
            Sent::Committed(answer) => {
                let completed = HashSet::<Uuid>::from_iter(answer.completed);
                let (done, rest): (Vec<_>, Vec<_>) = group
                    .into_iter()
                    .partition(|pending| completed.contains(&pending.order.attempt.id));
                for pending in done {
                    self.accept(pending);
                }
                self.sort_out(runner, rest).await;
            }
            Sent::Unknown(Some(answer), error) => {
                self.note_failure("complete jobs", &error);
                let timeline = self.shared.timeline();
                for mut pending in group {
                    if let Some(xid) = &answer.xid
                        && answer.completed.contains(&pending.order.attempt.id)
                    {
                        pending.ticket = Some(Ticket {
                            xid: xid.clone(),
                            timeline: timeline.clone(),
                            since: Instant::now(),
                            ends_attempt: true,
                        });
                    }
                    self.waiting.push(pending);
                }
            }
            Sent::Unknown(None, error) => {
                let pause = self.pause_after("complete jobs", &error);
                for mut pending in group {
                    pending.unanswered = true;
                    pending.tries += 1;
                    self.waiting.push(pending.later(pause));
                }
            }
            Sent::NotCommitted(error) => self.retry("complete jobs", group, error).await,
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
