//! What becomes of flushes of completions, and of the next in line of ordered channels, which start with them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::batch::{Batch, IN_HALVES_FROM, halves};
use super::completer::Completer;
use super::order::{Pending, Ticket};
use super::transact::Sent;
use crate::runner::claim::{ClaimInFlight, ClaimedJob};
use crate::runner::error::{Refusal, is_disconnect};
use crate::runner::in_a_row::InARow;
use crate::store::runner::{Completed, CompletedAndClaimed};

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
        let start_next = std::mem::take(&mut self.has_started_next);
        if start_next && group.len() >= IN_HALVES_FROM && self.second_wire.is_there().await {
            let (first, second) = halves(group);
            let (first, second) = (self.batch(runner, first), self.batch(runner, second));
            let (first_sent, second_sent) = tokio::join!(
                first.send(&mut self.wire, &self.shared),
                second.send(&mut self.second_wire, &self.shared),
            );
            self.answered(first, first_sent).await;
            self.answered(second, second_sent).await;
        } else {
            let batch = self.batch(runner, group);
            let sent = batch.send(&mut self.wire, &self.shared).await;
            self.answered(batch, sent).await;
        }
    }

    fn batch(&self, runner: Uuid, group: Vec<Pending>) -> Batch {
        Batch {
            runner,
            in_flight: self.claim_beside(&group),
            group,
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

    async fn answered(&mut self, batch: Batch, sent: Sent<CompletedAndClaimed, Option<Completed>>) {
        let Batch {
            runner,
            group,
            in_flight,
        } = batch;
        let mut answer = match sent {
            Sent::Committed(answer) => answer,
            // What was claimed, if it was, is nobody's: the next audit ends those attempts, as after a claim whose answer was lost.
            Sent::Unknown(known, error) => {
                return self.completed(runner, group, Sent::Unknown(known, error)).await;
            }
            // Each again, and without a claim, which may be what has failed.
            Sent::NotCommitted(error) if in_flight.is_some() && !is_disconnect(&error) => {
                return self.one_by_one("complete jobs", group, &error);
            }
            Sent::NotCommitted(error) => return self.retry("complete jobs", group, error).await,
        };
        self.backoff.succeeded();
        self.has_started_next |= !answer.next_ids.is_empty();
        let payloads = answer.take_payloads();
        // In our hands before the places of the jobs before them are free for others.
        if let Some(in_flight) = in_flight
            && !answer.next_ids.is_empty()
            && let Some(unstarted) = in_flight.answered(&self.shared, next_jobs(&answer, &group))
        {
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
