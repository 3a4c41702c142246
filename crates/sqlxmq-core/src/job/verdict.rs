//! What a job's function returned, judged by the generated code. No part of the API.

use std::error::Error;
use std::time::Duration;

use super::{JobError, Outcome, Permanent};
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
