//! How a job's function ended, as the generated code hands it to the dispatcher. No part of the API.

use std::error::Error;
use std::time::Duration;

use super::{CurrentJob, JobError, Outcome, Permanent};
use crate::error::BoxError;

/// What is to become of the attempt.
#[doc(hidden)]
pub enum Verdict {
    /// The function returned that.
    Returned(Outcome),
    /// The function, or what came before it, failed.
    Failed {
        /// What is recorded.
        error: BoxError,
        /// Whether the job is dead at once.
        is_permanent: bool,
        /// When to try again, if not after the backoff.
        retry_after: Option<Duration>,
    },
    /// The job is for others, who know more: given back for a while.
    Released(BoxError),
}

impl Verdict {
    /// An error that may be marked as permanent.
    pub fn failed(error: BoxError) -> Self {
        let is_permanent = Permanent::is_in(&*error);
        Self::Failed {
            error,
            is_permanent,
            retry_after: None,
        }
    }

    /// An error that is dead at once.
    pub fn dead(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed {
            error: Box::new(error),
            is_permanent: true,
            retry_after: None,
        }
    }

    /// An error that knows about the next attempt itself.
    pub fn told<E: JobError + Into<BoxError>>(error: E) -> Self {
        let (told, retry_after) = (error.is_permanent(), error.retry_after());
        let error = error.into();
        Self::Failed {
            is_permanent: told || Permanent::is_in(&*error),
            error,
            retry_after,
        }
    }

    /// An error whose mark is lost when it is boxed: `anyhow::Error` hides what it holds.
    pub fn open<E: AsRef<dyn Error + Send + Sync> + Into<BoxError>>(error: E) -> Self {
        let is_marked = Permanent::is_in(error.as_ref());
        let error = error.into();
        Self::Failed {
            is_permanent: is_marked || Permanent::is_in(&*error),
            error,
            retry_after: None,
        }
    }
}

/// How a job's function ended, with the job if the runner keeps it.
#[doc(hidden)]
pub struct JobEnd {
    pub(crate) job: Option<CurrentJob>,
    pub(crate) verdict: Verdict,
}

impl JobEnd {
    /// The end of a function that owned its job (`None`), or did not.
    pub fn new(job: Option<CurrentJob>, verdict: Verdict) -> Self {
        Self { job, verdict }
    }
}

/// Of a function that owns its job.
impl From<Result<(), BoxError>> for JobEnd {
    fn from(result: Result<(), BoxError>) -> Self {
        let verdict = match result {
            Ok(()) => Verdict::Returned(Outcome::Done),
            Err(error) => Verdict::failed(error),
        };
        Self { job: None, verdict }
    }
}
