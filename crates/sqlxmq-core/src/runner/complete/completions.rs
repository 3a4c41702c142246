//! What becomes of flushes of completions, and of the next in line of ordered channels, which start with them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::batch::{Answered, Batch, IN_HALVES_FROM, halves};
use super::completer::Completer;
use super::order::{Pending, Ticket};
use super::transact::Sent;
use crate::runner::claim::ClaimInFlight;
use crate::runner::error::{Refusal, is_disconnect};

impl Completer {
    pub(super) async fn complete(&mut self, runner: Uuid, group: Vec<Pending>) {
        // Refused here as well as in the database: past the deadline somebody else may be at it.
        if group
            .first()
            .is_none_or(|first| first.order.attempt.incarnation.is_over())
        {
            for late in group {
                self.refuse(late, Refusal::LeaseLost);
            }
            return;
        }
        let worth_two = std::mem::take(&mut self.has_started_next) && group.len() >= IN_HALVES_FROM;
        if worth_two && self.second.is_ready(&self.second_wire.session) {
            let (first, second) = halves(group);
            let (first, second) = (self.batch(runner, first), self.batch(runner, second));
            let (first, second) = tokio::join!(
                first.send(&mut self.wire, &self.shared),
                second.send(&mut self.second_wire, &self.shared),
            );
            self.answered(first).await;
            self.answered(second).await;
            return;
        }
        let batch = self.batch(runner, group);
        // For the next one.
        let connecting = async {
            if worth_two {
                self.second.connect(&mut self.second_wire.session).await;
            }
        };
        let (answered, ()) = tokio::join!(batch.send(&mut self.wire, &self.shared), connecting);
        self.answered(answered).await;
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

    async fn answered(&mut self, answered: Answered) {
        let Answered {
            runner,
            group,
            sent,
            timeline,
            has_claimed,
            has_started_next,
        } = answered;
        self.has_started_next |= has_started_next;
        match sent {
            Sent::Committed(answer) => {
                self.backoff.succeeded();
                let (done, rest) = match answer.completed.len() == group.len() {
                    // Each id is there once, so these are all.
                    true => (group, Vec::new()),
                    false => {
                        let completed = HashSet::<Uuid>::from_iter(answer.completed);
                        group
                            .into_iter()
                            .partition(|pending| completed.contains(&pending.order.attempt.id))
                    }
                };
                self.accept(done);
                self.sort_out(runner, rest).await;
            }
            Sent::Unknown(Some(answer), error) => {
                self.note_failure("complete jobs", &error);
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
            // Each again, and without a claim, which may be what has failed.
            Sent::NotCommitted(error) if has_claimed && !is_disconnect(&error) => {
                self.one_by_one("complete jobs", group, &error);
            }
            Sent::NotCommitted(error) => self.retry("complete jobs", group, error).await,
        }
    }
}
