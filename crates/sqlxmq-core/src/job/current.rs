//! `CurrentJob`: what the job is, and the methods that decide what becomes of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Checkpoint;
use super::given::Given;
use super::transaction;
use crate::runner::attempt::Attempt;
use crate::runner::complete::{AsTold, Asker, Reply, What};
use crate::runner::error::{CheckpointError, CompleteError, KeepAliveError, LeaseTooLong, Refusal};
use crate::runner::shared::Shared;
use crate::runner::slots::Slot;
use crate::store::runner::Payload;

/// The job that is being run.
///
/// Whoever owns it decides what becomes of the job: [`complete`](Self::complete) it, or drop it, which is a failed attempt.
/// It can be moved into another task and lives on there after the job's function has returned Ok.
pub struct CurrentJob {
    pub(super) shared: Arc<Shared>,
    pub(super) attempt: Arc<Attempt>,
    pub(super) slot: Arc<Slot>,
    pub(super) given: Box<Given>,
    /// A completion that is on its way, kept so that a dropped `complete` can be called again.
    pending: Option<Answer>,
}

impl CurrentJob {
    pub(crate) fn new(
        shared: Arc<Shared>,
        attempt: Arc<Attempt>,
        slot: &Arc<Slot>,
        payload: Payload,
    ) -> Self {
        Self {
            shared,
            attempt,
            slot: Arc::clone(slot),
            given: Box::new(Given::new(payload)),
            pending: None,
        }
    }

    /// Returns the pool that the runner was made with. The runner itself does not use it.
    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// Completes the job: it is gone from the queue, durably, when this returns Ok.
    ///
    /// Completions of several jobs share a commit. A lost connection is replaced and the completion repeated while the
    /// lease may be alive.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt is over, or if the database refused: see [`CompleteError`].
    ///
    /// # Cancel safety
    ///
    /// The completion goes on if the future is dropped. Call again to wait for it.
    pub async fn complete(&mut self) -> Result<(), CompleteError> {
        let id = self.attempt.id;
        self.check_unbound()?;
        let answer = match self.pending.take() {
            Some(answer) => answer,
            None => {
                self.attempt
                    .begin_completing()
                    .map_err(|refusal| CompleteError::new(id, refusal))?;
                self.ask(|reply| What::Complete {
                    asker: Asker::Job(reply),
                })
                .map_err(|refusal| CompleteError::new(id, refusal))?
            }
        };
        let kept = self.pending.insert(answer);
        let outcome = kept.await;
        self.pending = None;
        let answer = outcome.unwrap_or_else(|_| {
            // Nobody is to try again under this token: the commit may have been on its way.
            self.shared.lose(&self.attempt);
            Err(Refusal::OutcomeUnknown(None))
        });
        answer.map_err(|refusal| CompleteError::new(id, refusal))
    }

    /// Completes the job in `transaction` and commits it: both happen or neither does.
    ///
    /// If this returns Ok, the effects of the transaction were committed exactly once. If the commit's answer is lost, or does not
    /// come within 6 seconds, the database is asked what became of it. It takes a transaction itself, not a savepoint begun inside of one: to commit that
    /// commits nothing, and the job runs again unless the outer transaction is committed as well.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt is over, or if a statement or the commit failed: see [`CompleteError`]. The
    /// transaction has been rolled back then, except for [`CompleteError::OutcomeUnknown`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe. Dropped before the commit is sent, the transaction is rolled back and the job not completed;
    /// afterwards it is open what happens.
    pub async fn complete_with_transaction(
        &mut self,
        transaction: Transaction<'_, Postgres>,
    ) -> Result<(), CompleteError> {
        let id = self.attempt.id;
        if let Err(error) = self.check_unbound() {
            // Rolled back before the caller goes on.
            transaction::undo(transaction).await;
            return Err(error);
        }
        // A `complete` that was dropped half-way still goes on. Two completions at a time would get in each other's way.
        let done = match self.pending.is_some() {
            true => self.complete().await.is_ok(),
            false => false,
        };
        let outcome = match done {
            true => transaction::roll_back(transaction, Refusal::AlreadyCompleted).await,
            false => transaction::complete(self, transaction).await,
        };
        outcome.map_err(|refusal| CompleteError::new(id, refusal))
    }

    /// Stores a checkpoint: what the next attempt continues from, should this one fail.
    ///
    /// This attempt's payload does not change.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt is over, or if the database refused: see [`CheckpointError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the checkpoint is stored all the same, unless the attempt ends before.
    pub async fn checkpoint(&mut self, checkpoint: &Checkpoint<'_>) -> Result<(), CheckpointError> {
        let id = self.attempt.id;
        let owned = checkpoint.of_version(self.given.version).owned()?;
        self.attempt
            .check()
            .map_err(|refusal| CheckpointError::new(id, refusal))?;
        self.note_own_lease(checkpoint.gives_own_lease());
        let asked = self.ask(|reply| What::Checkpoint {
            checkpoint: owned,
            reply,
        });
        answered(asked)
            .await
            .map_err(|refusal| CheckpointError::new(id, refusal))
    }

    /// Stores a checkpoint in `transaction` and commits it: both happen or neither does.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt is over, or if a statement or the commit failed: see [`CheckpointError`]. The
    /// transaction has been rolled back then, except for [`CheckpointError::OutcomeUnknown`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe. Dropped before the commit is sent, the transaction is rolled back; afterwards it is open what
    /// happens.
    pub async fn checkpoint_with_transaction(
        &mut self,
        transaction: Transaction<'_, Postgres>,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<(), CheckpointError> {
        let id = self.attempt.id;
        let checkpoint = checkpoint.of_version(self.given.version);
        let borrowed = checkpoint.borrowed()?;
        self.note_own_lease(checkpoint.gives_own_lease());
        transaction::checkpoint(self, transaction, &borrowed)
            .await
            .map_err(|refusal| CheckpointError::new(id, refusal))
    }

    /// Gives the job a lease of its own: unless it ends, completes or is kept alive again within `duration`, this attempt is
    /// over and the job is tried again.
    ///
    /// By default a job needs no call of this: its runner's lease covers it as long as it runs.
    ///
    /// # Errors
    ///
    /// Returns an error if the duration is above [`MAX_DURATION`](crate::config::MAX_DURATION), if the attempt is over, or if
    /// the database refused: see [`KeepAliveError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the lease is given all the same, unless the attempt ends before.
    pub async fn keep_alive(&mut self, duration: Duration) -> Result<(), KeepAliveError> {
        let id = self.attempt.id;
        LeaseTooLong::check(duration).map_err(|source| KeepAliveError::TooLong { id, source })?;
        self.attempt
            .check()
            .map_err(|refusal| KeepAliveError::new(id, refusal))?;
        self.note_own_lease(true);
        let asked = self.ask(|reply| What::KeepAlive { duration, reply });
        answered(asked)
            .await
            .map_err(|refusal| KeepAliveError::new(id, refusal))
    }

    /// Returns the job's id.
    pub fn id(&self) -> Uuid {
        self.attempt.id
    }

    /// Returns which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// Returns a token that fires when this attempt can no longer complete: its lease is lost, the job was cancelled or
    /// cleared, its function failed, or the runner's grace is over.
    ///
    /// A job that is moved or waits for long should stop then: another attempt may be running.
    pub fn cancelled(&self) -> CancellationToken {
        self.attempt.cancelled()
    }

    /// Returns whether the token of [`cancelled`](Self::cancelled) has fired.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_cancelled()
    }

    /// Notes that the attempt is over without us, if that is news.
    pub(crate) fn lose(&self) {
        self.shared.lose(&self.attempt);
    }

    /// Leaves the job to the completer, which fails the attempt as told if it can't complete it. False: it can't be left, and
    /// [`complete`](Self::complete) says why, or what has become of it.
    pub(crate) fn leave_to_completer(&self, otherwise: Option<AsTold>) -> bool {
        !self.shared.jobs.awaits_outcomes()
            && self.pending.is_none()
            && !self.attempt.is_bound()
            && self.attempt.begin_completing().is_ok()
            && self.shared.order(
                &self.attempt,
                Some(&self.slot),
                What::Complete {
                    asker: Asker::Runner(otherwise),
                },
            )
    }

    fn check_unbound(&self) -> Result<(), CompleteError> {
        match self.attempt.is_bound() {
            true => Err(CompleteError::InJobTx { id: self.attempt.id }),
            false => Ok(()),
        }
    }

    fn ask(&self, what: impl FnOnce(Reply) -> What) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        match self.shared.order(&self.attempt, Some(&self.slot), what(reply)) {
            true => Ok(answer),
            false => Err(Refusal::LeaseLost),
        }
    }

    fn note_own_lease(&self, is_given: bool) {
        if is_given {
            self.shared.own_leases.store(true, Ordering::Relaxed);
        }
    }
}

/// Where the completer answers. If it ends with the runner before it has, the outcome is unknown.
type Answer = oneshot::Receiver<Result<(), Refusal>>;

async fn answered(asked: Result<Answer, Refusal>) -> Result<(), Refusal> {
    asked?.await.unwrap_or(Err(Refusal::OutcomeUnknown(None)))
}

impl Drop for CurrentJob {
    fn drop(&mut self) {
        if self.attempt.job_dropped() {
            self.shared.fail_dropped(&self.attempt, Some(&self.slot));
        }
    }
}

impl fmt::Debug for CurrentJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the payload: it may hold what must not be logged.
        f.debug_struct("CurrentJob")
            .field("id", &self.attempt.id)
            .field("name", &self.given.payload.name)
            .field("channel_name", &self.given.payload.channel_name)
            .field("attempt", &self.attempt.number)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobRunnerHandle, JobRunnerOptions};

    fn can_be_sent<T: Send + Sync>() {}
    fn is_sendable<T: Send>(_: T) {}

    #[test]
    fn jobs_runners_and_their_futures_can_be_sent_to_other_threads() {
        can_be_sent::<CurrentJob>();
        can_be_sent::<JobRunnerOptions>();
        can_be_sent::<JobRunnerHandle>();
        can_be_sent::<CompleteError>();
        // Never called: that it compiles is the test.
        let _ = |job: &mut CurrentJob, options: &JobRunnerOptions, handle: &mut JobRunnerHandle| {
            is_sendable(job.complete());
            is_sendable(job.checkpoint(&Checkpoint::new()));
            is_sendable(job.keep_alive(Duration::ZERO));
            is_sendable(options.run());
            is_sendable(options.test_one());
            is_sendable(handle.stop());
        };
        let _ = |job: &mut CurrentJob, transaction: Transaction<'static, Postgres>| {
            is_sendable(job.complete_with_transaction(transaction));
        };
        let _ = |job: &mut CurrentJob, transaction: Transaction<'static, Postgres>| {
            is_sendable(job.checkpoint_with_transaction(transaction, &Checkpoint::new()));
        };
    }
}
