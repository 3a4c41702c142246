//! Commits whose answers were lost: what became of them.

use std::time::Duration;

use super::completer::Completer;
use super::order::{LOCKED_PAUSE_MAX, Pending, Resolution, Ticket, What};
use crate::error::classify::is_transient;
use crate::runner::attempt::Attempt;
use crate::runner::error::{Refusal, is_disconnect};
use crate::runner::session::{STATEMENT_DEADLINE, within};
use crate::store::runner as store;

/// How long a commit whose answer was lost is asked after.
const RESOLVE_FOR: Duration = Duration::from_secs(60);

impl Completer {
    pub(super) async fn resolve_completion(&mut self, mut pending: Pending) {
        let Some(ticket) = pending.ticket.take() else {
            unreachable!("BUG: only completions with a ticket are resolved")
        };
        match self.resolve(&pending.order.attempt, &ticket).await {
            Ok(Some(Resolution::Committed)) => self.accept(vec![pending]),
            Ok(Some(Resolution::Aborted)) => self.waiting.push(pending),
            Ok(Some(Resolution::Unknown)) => self.refuse(pending, Refusal::OutcomeUnknown(None)),
            Ok(None) if ticket.since.elapsed() < RESOLVE_FOR => {
                pending.ticket = Some(ticket);
                self.waiting.push(pending.later_for_lock());
            }
            Err(error) if ticket.since.elapsed() < RESOLVE_FOR => {
                pending.ticket = Some(ticket);
                let pause = self.pause_after("ask after a commit", &error);
                self.waiting.push(pending.later(pause));
            }
            Ok(None) => self.refuse(pending, Refusal::OutcomeUnknown(None)),
            Err(error) => self.refuse(pending, Refusal::OutcomeUnknown(Some(error))),
        }
    }

    pub(super) async fn resolve_order(&mut self, pending: Pending) {
        let What::Resolve { ticket, .. } = &pending.order.what else {
            unreachable!("BUG: only commits of jobs are asked after")
        };
        let ticket = ticket.clone();
        let resolution = match self.resolve(&pending.order.attempt, &ticket).await {
            Ok(Some(resolution)) => resolution,
            Ok(None) if ticket.since.elapsed() < RESOLVE_FOR => {
                return self.waiting.push(pending.later_for_lock());
            }
            Err(error) if ticket.since.elapsed() < RESOLVE_FOR => {
                let pause = self.pause_after("ask after a commit", &error);
                return self.waiting.push(pending.later(pause));
            }
            Ok(None) | Err(_) => Resolution::Unknown,
        };
        if let What::Resolve { reply, .. } = pending.order.what {
            let _ = reply.send(resolution);
        }
    }

    pub(super) async fn resolve_now(&mut self, ticket: &Ticket) -> Resolution {
        loop {
            match self.status(ticket).await {
                Ok(Some(resolution)) => return resolution,
                Ok(None) | Err(_) if ticket.since.elapsed() > STATEMENT_DEADLINE => {
                    return Resolution::Unknown;
                }
                Ok(None) => tokio::time::sleep(LOCKED_PAUSE_MAX).await,
                Err(error) => {
                    let pause = self.pause_after("ask after a commit", &error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// `None`: still in progress.
    pub(super) async fn resolve(
        &mut self,
        attempt: &Attempt,
        ticket: &Ticket,
    ) -> Result<Option<Resolution>, sqlx::Error> {
        let status = self.status(ticket).await?;
        if status != Some(Resolution::Unknown) || !ticket.ends_attempt {
            return Ok(status);
        }
        // The row and its token are still there: it was not committed, whatever the server has forgotten.
        let gone = self
            .gone(attempt.incarnation.id, vec![attempt.id], vec![attempt.claim])
            .await?;
        Ok(Some(if gone.is_empty() {
            Resolution::Aborted
        } else {
            Resolution::Unknown
        }))
    }

    pub(super) async fn status(&mut self, ticket: &Ticket) -> Result<Option<Resolution>, sqlx::Error> {
        let mut connection = self.wire.take().await?;
        if self.wire.timeline() != ticket.timeline {
            self.wire.session.put_back(connection);
            return Ok(Some(Resolution::Unknown));
        }
        let answer = within(
            STATEMENT_DEADLINE,
            store::xact_status(&mut connection, &ticket.xid),
        )
        .await;
        Ok(match self.wire.session.settle(connection, answer) {
            Ok(Some(status)) if status == "committed" => Some(Resolution::Committed),
            Ok(Some(status)) if status == "aborted" => Some(Resolution::Aborted),
            Ok(Some(_)) => None,
            Ok(None) => Some(Resolution::Unknown),
            Err(error) if is_transient(&error) || is_disconnect(&error) => return Err(error),
            // An id from the future: the server came back without that transaction.
            Err(_) => Some(Resolution::Unknown),
        })
    }
}
