//! One attempt at one job, from claim to outcome: who may still decide it. Pure state, no I/O.
//!
//! The function and the `CurrentJob` can end in either order, on different tasks, while a completion is on its way. Everybody
//! asks here first, so that an attempt has one outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claim::ClaimedJob;
use super::error::Refusal;
use super::in_a_row::InARow;
use super::incarnation::Incarnation;

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: Uuid,
    /// With the incarnation, the token of this attempt.
    pub(crate) claim: i64,
    /// Counted from 1.
    pub(crate) number: u32,
    pub(crate) in_a_row: InARow,
    pub(crate) incarnation: Arc<Incarnation>,
    /// Fires when the attempt is over for another reason than its completion, or the runner's grace is. Mostly nobody asks.
    cancelled: OnceLock<CancellationToken>,
    /// Known once the payload is.
    name: OnceLock<Arc<str>>,
    /// Whether it is completed by a `JobTx` and by nothing else.
    bound: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Progress {
    fate: Fate,
    function: Function,
    job_dropped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Running,
    Returned,
}

/// How far the outcome is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing is.
    Open,
    /// A completion is on its way, here or in a transaction of the job's own.
    Completing,
    Completed,
    Failed,
    /// Given back, no attempt used.
    Released,
    /// Over without us: the lease, a cancel, a clear.
    Lost,
}

impl Attempt {
    pub(super) fn claimed(job: &ClaimedJob, claim: i64, incarnation: Arc<Incarnation>) -> Self {
        Self {
            id: job.id,
            claim,
            number: job.attempt.unsigned_abs(),
            in_a_row: job.in_a_row,
            incarnation,
            cancelled: OnceLock::new(),
            name: OnceLock::new(),
            bound: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                fate: Fate::Open,
                function: Function::Running,
                job_dropped: false,
            }),
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        // Nothing panics under this lock, and a half-made change is impossible.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever has asked, or will, that the attempt is over.
    pub(crate) fn cancel(&self) {
        self.cancelled.get_or_init(CancellationToken::new).cancel();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.get().is_some_and(CancellationToken::is_cancelled)
    }

    /// A child, so that users can't cancel ours.
    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.cancelled.get_or_init(CancellationToken::new).child_token()
    }

    pub(crate) fn set_name(&self, name: &Arc<str>) {
        let _ = self.name.set(Arc::clone(name));
    }

    /// The job's name. Empty while its payload has not been fetched.
    pub(crate) fn name(&self) -> &str {
        self.name.get().map_or("", |name| name)
    }

    /// Leaves the completion to a `JobTx`. False: there is one already.
    #[must_use]
    pub(crate) fn bind(&self) -> bool {
        !self.bound.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn unbind(&self) {
        self.bound.store(false, Ordering::Release);
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Acquire)
    }

    pub(crate) fn fate(&self) -> Fate {
        self.progress().fate
    }

    /// Refuses if the attempt is over, by what is known here: the database has the last word.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        // Asked before our lock is taken: an inventory takes the two in the other order.
        let is_over = self.incarnation.is_over();
        self.progress().check(is_over)
    }

    /// Marks that a completion is on its way, unless the attempt is over.
    pub(crate) fn begin_completing(&self) -> Result<(), Refusal> {
        let is_over = self.incarnation.is_over();
        let mut progress = self.progress();
        progress.check(is_over)?;
        progress.fate = Fate::Completing;
        Ok(())
    }

    /// The completion did not happen, and the job may be decided otherwise. Returns whether it now fails for being dropped.
    #[must_use]
    pub(crate) fn completion_failed(&self) -> bool {
        let mut progress = self.progress();
        if progress.fate == Fate::Completing {
            progress.fate = Fate::Open;
        }
        progress.decide_if_dropped()
    }

    pub(crate) fn completed(&self) {
        self.progress().fate = Fate::Completed;
    }

    /// The function returned Ok. Returns whether the attempt now fails for being dropped.
    #[must_use]
    pub(crate) fn function_returned(&self) -> bool {
        let mut progress = self.progress();
        progress.function = Function::Returned;
        progress.decide_if_dropped()
    }

    /// The `CurrentJob` is gone. Returns whether the attempt now fails for being dropped: while the function runs, what it
    /// returns decides.
    #[must_use]
    pub(crate) fn job_dropped(&self) -> bool {
        let mut progress = self.progress();
        progress.job_dropped = true;
        progress.decide_if_dropped()
    }

    /// The function failed. Returns whether that is to be recorded: not if the attempt is over already.
    #[must_use]
    pub(crate) fn function_failed(&self) -> bool {
        let mut progress = self.progress();
        progress.function = Function::Returned;
        match progress.fate {
            Fate::Open => {
                progress.fate = Fate::Failed;
                true
            }
            // The completion may still be rolled back. If it is committed, the failure finds nothing to fail.
            Fate::Completing => true,
            Fate::Completed | Fate::Failed | Fate::Released | Fate::Lost => false,
        }
    }

    /// Gives the attempt back. Returns whether there was something to give.
    #[must_use]
    pub(crate) fn released(&self) -> bool {
        self.end(Fate::Released)
    }

    /// The attempt is over without us. Returns whether that is news.
    #[must_use]
    pub(crate) fn lost(&self) -> bool {
        self.end(Fate::Lost)
    }

    fn end(&self, fate: Fate) -> bool {
        let mut progress = self.progress();
        let is_news = matches!(progress.fate, Fate::Open | Fate::Completing);
        if is_news {
            progress.fate = fate;
        }
        is_news
    }
}

impl Progress {
    fn check(&self, lease_is_over: bool) -> Result<(), Refusal> {
        match self.fate {
            Fate::Completed => Err(Refusal::AlreadyCompleted),
            Fate::Failed | Fate::Released | Fate::Lost => Err(Refusal::LeaseLost),
            Fate::Open | Fate::Completing if lease_is_over => Err(Refusal::LeaseLost),
            Fate::Open | Fate::Completing => Ok(()),
        }
    }

    fn decide_if_dropped(&mut self) -> bool {
        let fails = self.fate == Fate::Open && self.job_dropped && self.function == Function::Returned;
        if fails {
            self.fate = Fate::Failed;
        }
        fails
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn attempt_under(incarnation: Incarnation) -> Attempt {
        let job = ClaimedJob {
            id: Uuid::from_u128(1),
            attempt: 1,
            in_a_row: InARow::first(Instant::now()),
        };
        Attempt::claimed(&job, 1, Arc::new(incarnation))
    }

    fn attempt() -> Attempt {
        let lease = Duration::from_secs(30);
        attempt_under(Incarnation::new(Uuid::from_u128(2), lease, Instant::now()))
    }

    #[test]
    fn a_job_dropped_inside_its_function_waits_for_what_the_function_returns() {
        let ok = attempt();
        assert!(!ok.job_dropped());
        assert!(ok.function_returned(), "Ok without completing fails as dropped");
        let err = attempt();
        assert!(!err.job_dropped());
        assert!(err.function_failed(), "the function's error is what is recorded");
        assert_eq!(err.fate(), Fate::Failed);
    }

    #[test]
    fn a_moved_job_lives_on_after_ok_and_fails_when_dropped() {
        let moved = attempt();
        assert!(!moved.function_returned());
        assert!(moved.check().is_ok());
        assert!(moved.job_dropped());
    }

    #[test]
    fn a_moved_job_is_refused_after_err() {
        let moved = attempt();
        assert!(moved.function_failed());
        assert!(matches!(moved.begin_completing(), Err(Refusal::LeaseLost)));
        assert!(!moved.job_dropped(), "it has failed already");
    }

    #[test]
    fn a_completed_job_does_not_fail_when_dropped() {
        let done = attempt();
        done.begin_completing().unwrap();
        assert!(!done.job_dropped());
        done.completed();
        assert!(!done.function_returned());
        assert!(matches!(done.check(), Err(Refusal::AlreadyCompleted)));
    }

    #[test]
    fn a_completion_that_failed_after_everybody_left_counts_as_dropped() {
        let given_up = attempt();
        given_up.begin_completing().unwrap();
        assert!(!given_up.job_dropped());
        assert!(!given_up.function_returned());
        assert!(given_up.completion_failed());
    }

    #[test]
    fn losing_is_news_once() {
        let lost = attempt();
        assert!(lost.lost());
        assert!(!lost.lost());
        assert!(!lost.released());
        assert!(!lost.function_failed());
    }

    #[test]
    fn the_local_deadline_refuses_a_completion() {
        let long_ago = Instant::now()
            .checked_sub(Duration::from_secs(31))
            .unwrap_or_else(Instant::now);
        let late = attempt_under(Incarnation::new(
            Uuid::from_u128(2),
            Duration::from_secs(30),
            long_ago,
        ));
        assert!(matches!(late.begin_completing(), Err(Refusal::LeaseLost)));
    }
}
