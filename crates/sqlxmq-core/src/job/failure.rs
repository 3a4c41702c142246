//! Errors that say whether trying again can help.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::error::BoxError;

/// What an error of a job may know about the next attempt. Implementing it is optional, and in addition to
/// [`std::error::Error`], which a job's error has to be in any case.
///
/// It is asked when a job's function returns this very type in its `Err`. An error that is boxed, or in an `anyhow::Error`,
/// says the same by way of [`permanent`].
///
/// # Examples
///
/// ```
/// use sqlxmq_core::JobError;
///
/// #[derive(Debug, thiserror::Error)]
/// enum ChargeError {
///     #[error("the card was declined")]
///     CardDeclined,
///     #[error("the bank can't be reached")]
///     Unreachable,
/// }
///
/// impl JobError for ChargeError {
///     fn is_permanent(&self) -> bool {
///         matches!(self, Self::CardDeclined)
///     }
/// }
/// assert!(ChargeError::CardDeclined.is_permanent() && !ChargeError::Unreachable.is_permanent());
/// ```
pub trait JobError {
    /// Returns whether no further attempt can help: the job is dead at once. Default: `false`.
    fn is_permanent(&self) -> bool {
        false
    }

    /// Returns when to try again, if not after the job's backoff: a server may have said so. Default: `None`.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// Marks an error as one that no further attempt can help: the job is dead at once.
///
/// The mark is found on the error that the function returns and on its sources, also through a `Box<dyn Error>` and an
/// `anyhow::Error`. Only an error that was boxed before it became an `anyhow::Error`, by `anyhow!(boxed)`, hides what is inside: mark it
/// last, `anyhow::Error::new(permanent(boxed))`.
///
/// # Examples
///
/// ```
/// use sqlxmq_core::{BoxError, permanent};
///
/// fn parse(text: &str) -> Result<u32, BoxError> {
///     Ok(text.parse().map_err(permanent)?)
/// }
/// assert_eq!(parse("seven").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub fn permanent(error: impl Into<BoxError>) -> Permanent {
    Permanent(error.into())
}

/// An error that no further attempt can help. Made by [`permanent`]; shows itself as the error inside.
pub struct Permanent(BoxError);

impl Permanent {
    /// Returns the error inside, as an error handler may want to see it.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }

    /// Returns the error inside.
    pub fn into_inner(self) -> BoxError {
        self.0
    }

    /// Returns whether the error or one of its sources is marked.
    pub(crate) fn is_in(error: &(dyn Error + 'static)) -> bool {
        // A source that leads back to itself must not keep us here.
        std::iter::successors(Some(error), |error| (*error).source())
            .take(100)
            .any(|error| error.is::<Self>())
    }
}

impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for Permanent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_behind_other_errors_and_does_not_show() {
        #[derive(Debug, thiserror::Error)]
        #[error("the letter was not sent")]
        struct Outer(#[source] Permanent);

        let outer = Outer(permanent("no such street"));
        assert!(Permanent::is_in(&outer));
        assert_eq!(outer.0.to_string(), "no such street");
        let boxed: BoxError = Box::new(permanent(fmt::Error));
        assert!(Permanent::is_in(&*boxed));
        assert!(!Permanent::is_in(&fmt::Error));
    }
}
