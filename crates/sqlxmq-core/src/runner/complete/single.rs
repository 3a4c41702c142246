//! What a running job asks for itself: checkpoints and leases of its own, one statement each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::completer::Completer;
use super::order::{Order, Pending, Resolution, Ticket, What};
use super::transact::Sent;
use crate::error::classify::is_transient;
use crate::runner::error::{Refusal, is_disconnect};
use crate::runner::session::STATEMENT_DEADLINE;
use crate::store::runner as store;

impl Completer {
    pub(super) async fn checkpoint(&mut self, pending: Pending) {
        if let Err(refusal) = pending.order.attempt.check() {
            return self.refuse(pending, refusal);
        }
        let Pending {
            order: Order { attempt, slot, what },
            tries,
            pause,
            ..
        } = pending;
        let What::Checkpoint { checkpoint, reply } = what else {
            unreachable!("BUG: only checkpoints are stored as checkpoints")
        };
        let checkpoint = Arc::new(checkpoint);
        let (runner, id, claim, sending) = (
            attempt.incarnation.id,
            attempt.id,
            attempt.claim,
            Arc::clone(&checkpoint),
        );
        // A big payload takes its time: a second more for each MiB.
        let bytes = checkpoint.payload_json.as_ref().map_or(0, String::len)
            + checkpoint.payload_bytes.as_ref().map_or(0, Vec::len);
        let deadline = STATEMENT_DEADLINE + Duration::from_micros(bytes as u64);
        let sent = self
            .transact(deadline, move |connection| {
                Box::pin(async move {
                    let new = store::NewCheckpoint {
                        payload_json: sending.payload_json.as_deref(),
                        payload_bytes: sending.payload_bytes.as_deref(),
                        extra_retries: sending.extra_retries,
                        keep_alive: sending.keep_alive,
                    };
                    store::wait_briefly(connection).await?;
                    store::checkpoint(connection, runner, id, claim, &new).await
                })
            })
            .await;
        let answer = match sent {
            Sent::Committed(answer) if answer.done => Ok(()),
            Sent::Committed(_) => {
                self.shared.lose(&attempt);
                Err(Refusal::LeaseLost)
            }
            Sent::Unknown(answer, error) => {
                self.note_failure("store a checkpoint", &error);
                let resolved = match answer.xid {
                    Some(xid) => {
                        let since = Instant::now();
                        let ticket = Ticket {
                            xid,
                            timeline: self.wire.timeline(),
                            since,
                            ends_attempt: false,
                        };
                        self.resolve_now(&ticket).await
                    }
                    None => Resolution::Unknown,
                };
                match resolved {
                    Resolution::Committed => Ok(()),
                    Resolution::Aborted => Err(Refusal::Commit(error)),
                    Resolution::Unknown => Err(Refusal::OutcomeUnknown(Some(error))),
                }
            }
            // Nothing was stored, so it can be tried again while the lease may be alive.
            Sent::NotCommitted(error) if is_transient(&error) || is_disconnect(&error) => {
                let mut again_in = None;
                if !is_locked(&error) {
                    again_in = Some(self.pause_after("store a checkpoint", &error));
                }
                let checkpoint = Arc::into_inner(checkpoint).unwrap_or_else(|| {
                    unreachable!("BUG: the statement that borrowed the checkpoint is over")
                });
                let what = What::Checkpoint { checkpoint, reply };
                let mut again = Pending::new(Order { attempt, slot, what }, Instant::now());
                again.tries = tries + 1;
                again.pause = pause;
                self.waiting.push(match again_in {
                    Some(pause) => again.later(pause),
                    None => again.later_for_lock(),
                });
                return;
            }
            Sent::NotCommitted(error) => Err(Refusal::Store(error)),
        };
        let _ = reply.send(answer);
    }

    pub(super) async fn keep_alive(&mut self, pending: Pending) {
        if let Err(refusal) = pending.order.attempt.check() {
            return self.refuse(pending, refusal);
        }
        let attempt = Arc::clone(&pending.order.attempt);
        let What::KeepAlive { duration, .. } = pending.order.what else {
            unreachable!("BUG: only keep-alives are sent as keep-alives")
        };
        let (runner, id, claim) = (attempt.incarnation.id, attempt.id, attempt.claim);
        let sent = self
            .transact(STATEMENT_DEADLINE, move |connection| {
                Box::pin(async move {
                    store::wait_briefly(connection).await?;
                    store::keep_alive(connection, runner, id, claim, duration).await
                })
            })
            .await;
        match sent {
            Sent::Committed(true) => self.reply(pending, Ok(())),
            Sent::Committed(false) => self.refuse(pending, Refusal::LeaseLost),
            Sent::NotCommitted(error) if is_locked(&error) => self.waiting.push(pending.later_for_lock()),
            // A lease that was given and is given again is only longer.
            Sent::NotCommitted(error) | Sent::Unknown(_, error) => {
                self.retry("keep a job alive", vec![pending], error).await;
            }
        }
    }
}

/// Whether somebody has the job's row locked: a user's transaction that cancels it, say. The outcomes of other jobs must not wait
/// for that, so we come back to it.
fn is_locked(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(answer) if answer.code().as_deref() == Some("55P03"))
}
