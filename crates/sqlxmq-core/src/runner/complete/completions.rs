//! What becomes of flushes of completions, and of the next in line of ordered channels, which start with them.

use std::collections::{HashMap, HashSet};
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
                let (done, rest) = parted(group, answer.completed);
                self.accept(done);
                self.sort_out(runner, rest).await;
            }
            Sent::Unknown(Some(answer), error) => {
                self.note_failure("complete jobs", &error);
                let (mut done, rest) = parted(group, answer.completed);
                if let Some(xid) = answer.xid {
                    for pending in &mut done {
                        pending.ticket = Some(Ticket {
                            xid: xid.clone(),
                            timeline: timeline.clone(),
                            since: Instant::now(),
                            ends_attempt: true,
                        });
                    }
                }
                self.waiting.extend(done.into_iter().chain(rest));
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

/// Those of one runner that were completed, by the ids that are answered, and the rest. Of two attempts at a job it is the later one, by
/// the number of its claim: the earlier one's row was gone before that could be claimed.
fn parted(group: Vec<Pending>, completed: Vec<Uuid>) -> (Vec<Pending>, Vec<Pending>) {
    if completed.len() == group.len() {
        // Each id is there once, so these are all.
        return (group, Vec::new());
    }
    let completed = HashSet::<Uuid>::from_iter(completed);
    let mut latest: HashMap<Uuid, i64> = HashMap::new();
    for (id, claim) in group.iter().map(Pending::key) {
        latest
            .entry(id)
            .and_modify(|latest| *latest = claim.max(*latest))
            .or_insert(claim);
    }
    group.into_iter().partition(|pending| {
        let (id, claim) = pending.key();
        completed.contains(&id) && latest.get(&id) == Some(&claim)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runner::attempt::Attempt;
    use crate::runner::claim::ClaimedJob;
    use crate::runner::complete::order::{Asker, Order, What};
    use crate::runner::in_a_row::InARow;
    use crate::runner::incarnation::Incarnation;

    fn pending(incarnation: &Arc<Incarnation>, id: u128, claim: i64) -> Pending {
        let now = Instant::now();
        let job = ClaimedJob {
            id: Uuid::from_u128(id),
            attempt: 1,
            in_a_row: InARow::first(now),
        };
        let order = Order {
            attempt: Arc::new(Attempt::claimed(&job, claim, Arc::clone(incarnation))),
            slot: None,
            what: What::Complete {
                asker: Asker::Runner(None),
            },
        };
        Pending::new(order, now)
    }

    fn keys(pending: &[Pending]) -> Vec<(u128, i64)> {
        let key = |pending: &Pending| (pending.key().0.as_u128(), pending.key().1);
        pending.iter().map(key).collect()
    }

    #[test]
    fn of_two_attempts_in_one_flush_the_later_one_is_completed() {
        let lease = Duration::from_secs(30);
        let incarnation = Arc::new(Incarnation::new(Uuid::from_u128(9), lease, Instant::now()));
        let group = [(1, 1), (2, 1), (1, 2), (3, 2)];
        let group = group.map(|(id, claim)| pending(&incarnation, id, claim));
        let completed = [1, 2].map(Uuid::from_u128);
        let (done, rest) = parted(group.into(), completed.into());
        assert_eq!(keys(&done), [(2, 1), (1, 2)]);
        assert_eq!(keys(&rest), [(1, 1), (3, 2)]);
    }
}
