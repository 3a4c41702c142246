//! How an attempt ended, as layers and lent arguments see it, and the dispatcher after them.

use std::error::Error;
use std::fmt;

use super::{CurrentJob, Outcome, Verdict};
use crate::error::BoxError;

/// How an attempt ended: what [`Next::run`](crate::Next::run) returns to a layer, and what
/// [`LendToJob::finish`](crate::LendToJob::finish) is shown.
///
/// Nothing is stored yet: a job that its runner keeps is completed, failed or put off when the outermost layer has returned. A
/// function that owns its [`CurrentJob`] may have completed it by then.
pub struct JobEnd {
    /// `None`: the function, or a layer, has taken it.
    pub(crate) job: Option<CurrentJob>,
    pub(crate) verdict: Verdict,
}

impl JobEnd {
    /// Ends an attempt in place of the job's function: what a layer returns that does not call it.
    ///
    /// [`Outcome::Done`] completes the job. To fail the attempt, a layer returns an error.
    pub fn new(job: CurrentJob, outcome: Outcome) -> Self {
        Self {
            job: Some(job),
            verdict: Verdict::Returned(outcome),
        }
    }

    /// The end of a function that owned its job (`None`), or did not.
    #[doc(hidden)]
    pub fn of_call(job: Option<CurrentJob>, verdict: Verdict) -> Self {
        Self { job, verdict }
    }

    /// The end of a function that owns its job.
    #[doc(hidden)]
    pub fn of_owner(result: Result<(), BoxError>) -> Self {
        let verdict = match result {
            Ok(()) => Verdict::Returned(Outcome::Done),
            Err(error) => Verdict::failed(error),
        };
        Self { job: None, verdict }
    }

    /// Returns whether the function returned Ok, or [`Outcome::Done`].
    pub fn is_done(&self) -> bool {
        self.outcome() == Some(&Outcome::Done)
    }

    /// Returns the outcome, if the attempt did not end with an error.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.verdict {
            Verdict::Returned(outcome) => Some(outcome),
            Verdict::Failed { .. } | Verdict::Released(_) => None,
        }
    }

    /// Returns the error that the attempt ended with: the function's, an argument's, or a
    /// [`JobPanicked`](crate::JobPanicked) or [`JobTimedOut`](crate::JobTimedOut).
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &self.verdict {
            Verdict::Returned(_) => None,
            Verdict::Failed { error, .. } | Verdict::Released(error) => Some(&**error),
        }
    }

    /// Puts another outcome in place of what the function returned.
    ///
    /// [`Outcome::Done`] completes a job that its runner keeps. A function that owns its job has completed it, or the attempt
    /// fails as dropped. So it does after a panic or a timeout, which have taken the job with them: let the next attempt have it
    /// ([`Outcome::Retry`]), or give it up ([`Outcome::Dead`]).
    pub fn set_outcome(&mut self, outcome: Outcome) -> &mut Self {
        self.verdict = Verdict::Returned(outcome);
        self
    }

    /// Puts an error in place of what the function returned. [`permanent`](crate::permanent) makes it the last one.
    pub fn set_error(&mut self, error: impl Into<BoxError>) -> &mut Self {
        self.verdict = Verdict::failed(error.into());
        self
    }

    /// Returns the job if its runner is about to complete it, for whoever wants to do that here: in a transaction, say, or to
    /// know that it was done. A job that is completed here is not completed again.
    pub fn job_to_complete(&mut self) -> Option<&mut CurrentJob> {
        match self.is_done() {
            true => self.job.as_mut(),
            false => None,
        }
    }

    /// What came after the function failed. What the function says about its end has precedence, unless it is that it is done.
    #[doc(hidden)]
    pub fn fail_after(&mut self, error: BoxError) {
        match self.is_done() {
            true => self.verdict = Verdict::failed(error),
            false => {
                tracing::debug!(
                    error = &*error as &(dyn Error + 'static),
                    "a lent argument could not be finished"
                );
            }
        }
    }
}

impl fmt::Debug for JobEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobEnd")
            .field("outcome", &self.outcome())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}
