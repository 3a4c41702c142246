//! Completing and check-pointing inside a transaction of the user's own.
//!
//! The fence is a row that the statement locks or deletes. So if the statement says yes and the commit succeeds, nobody else
//! had this job in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Postgres, Transaction};
use tokio::sync::oneshot;

use super::CurrentJob;
use crate::runner::complete::{Resolution, Ticket, What};
use crate::runner::error::{Refusal, is_disconnect};
use crate::runner::session::within;
use crate::store::runner::{self as store, Locked, NewCheckpoint};

/// How long a statement of ours on the user's connection may take. Without, a connection that is half open would keep the job,
/// and its place in the runner, for as long as the kernel believes in it, which may be hours: the lease is renewed over another
/// one. Long enough to wait for a row that somebody has locked, and still within the 15 seconds in which a runner recovers.
const DEADLINE: Duration = Duration::from_secs(6);

pub(super) async fn complete(
    job: &mut CurrentJob,
    mut transaction: Transaction<'_, Postgres>,
) -> Result<(), Refusal> {
    if let Err(refusal) = job.attempt.begin_completing() {
        return roll_back(transaction, refusal).await;
    }
    let completing = Completing { job };
    let job = &*completing.job;
    let attempt = &job.attempt;
    let (runner, ids, claims) = (attempt.incarnation.id, [attempt.id], [attempt.claim]);
    let timeline = job.shared.timeline();
    let sent = store::complete(&mut transaction, runner, &ids, &claims, Locked::Wait);
    let answer = match within(DEADLINE, sent).await {
        Ok(answer) => answer,
        Err(error) => return roll_back(transaction, Refusal::Store(error)).await,
    };
    if answer.completed.is_empty() {
        job.shared.lose(attempt);
        return roll_back(transaction, Refusal::LeaseLost).await;
    }
    let ticket = ticket(answer.xid, timeline, true);
    let outcome = commit(job, transaction, ticket).await;
    match &outcome {
        Ok(()) => {
            attempt.completed();
            attempt.incarnation.forget(attempt);
        }
        // Not held any more: if the row is there, the next audit fails the attempt.
        Err(Refusal::OutcomeUnknown(_)) => job.shared.lose(attempt),
        Err(_) => {}
    }
    outcome
}

pub(super) async fn checkpoint(
    job: &mut CurrentJob,
    mut transaction: Transaction<'_, Postgres>,
    checkpoint: &NewCheckpoint<'_>,
) -> Result<(), Refusal> {
    let attempt = Arc::clone(&job.attempt);
    if let Err(refusal) = attempt.check() {
        return roll_back(transaction, refusal).await;
    }
    let timeline = job.shared.timeline();
    let sent = store::checkpoint(
        &mut transaction,
        attempt.incarnation.id,
        attempt.id,
        attempt.claim,
        checkpoint,
    );
    match within(DEADLINE, sent).await {
        Ok(answer) if answer.done => {
            // The running row is there either way.
            let ticket = ticket(answer.xid, timeline, false);
            commit(job, transaction, ticket).await
        }
        Ok(_) => {
            job.shared.lose(&attempt);
            roll_back(transaction, Refusal::LeaseLost).await
        }
        Err(error) => roll_back(transaction, Refusal::Store(error)).await,
    }
}

/// `timeline`: noted before the statement, because the completer may be connected to another server afterwards.
fn ticket(xid: Option<String>, timeline: Option<String>, ends_attempt: bool) -> Option<Ticket> {
    Some(Ticket {
        xid: xid?,
        timeline,
        since: Instant::now(),
        ends_attempt,
    })
}

/// Commits. If the answer is lost, the completer asks the database what became of it.
async fn commit(
    job: &CurrentJob,
    transaction: Transaction<'_, Postgres>,
    ticket: Option<Ticket>,
) -> Result<(), Refusal> {
    let error = match within(DEADLINE, transaction.commit()).await {
        Ok(()) => return Ok(()),
        // The server refused, and its session is fine: rolled back.
        Err(error @ sqlx::Error::Database(_)) if !is_disconnect(&error) => {
            return Err(Refusal::Commit(error));
        }
        Err(error) => error,
    };
    let Some(ticket) = ticket else {
        return Err(Refusal::OutcomeUnknown(Some(error)));
    };
    let (reply, answer) = oneshot::channel();
    job.shared
        .order(&job.attempt, Some(&job.slot), What::Resolve { ticket, reply });
    match answer.await {
        Ok(Resolution::Committed) => Ok(()),
        Ok(Resolution::Aborted) => Err(Refusal::Commit(error)),
        Ok(Resolution::Unknown) | Err(_) => Err(Refusal::OutcomeUnknown(Some(error))),
    }
}

/// Rolled back before the caller goes on, not whenever the pool gets to it.
pub(super) async fn roll_back(
    transaction: Transaction<'_, Postgres>,
    refusal: Refusal,
) -> Result<(), Refusal> {
    match &refusal {
        // It does not answer. Dropped, it is rolled back by whoever notices first: the pool, or the server.
        Refusal::Store(error) if is_disconnect(error) => drop(transaction),
        _ => undo(transaction).await,
    }
    Err(refusal)
}

/// Rolls back. A connection that is gone has done so as well.
pub(super) async fn undo(transaction: Transaction<'_, Postgres>) {
    drop(within(DEADLINE, transaction.rollback()).await);
}

/// While it lives, the attempt is completing. However it ends, the attempt is not left in that state.
struct Completing<'a> {
    job: &'a mut CurrentJob,
}

impl Drop for Completing<'_> {
    fn drop(&mut self) {
        // The job itself is alive, so there is nothing to fail yet.
        if self.job.attempt.completion_failed() {
            self.job
                .shared
                .fail_dropped(&self.job.attempt, Some(&self.job.slot));
        }
    }
}
