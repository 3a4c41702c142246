//! Why a job could not be spawned.

use std::fmt;

use uuid::Uuid;

use super::classify::{is_schema_missing, is_transient};
use super::invalid_job::InvalidJob;

/// Why jobs could not be spawned. Nothing was stored.
///
/// Except for [`SpawnError::SchemaMissing`] and [`SpawnError::Store`], the connection was left as it was: the
/// caller's transaction can go on.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A job is out of bounds. The connection was not used.
    #[error("job `{name}` cannot be stored")]
    Invalid {
        /// The name of the job.
        name: String,
        /// What is wrong with it.
        source: InvalidJob,
    },
    /// There already are jobs with these ids, or an id was given twice in one batch.
    #[error("job ids are already taken: {}", Ids(.ids))]
    DuplicateId {
        /// The ids that are taken, each once.
        ids: Vec<Uuid>,
    },
    /// The jobs of one batch are too large together. The connection was not used.
    #[error("a batch of {bytes} bytes is above the limit of {limit}")]
    BatchTooLarge {
        /// The bytes of all texts and payloads of the batch.
        bytes: usize,
        /// The bytes a batch may have: [`MAX_BATCH_BYTES`](crate::config::MAX_BATCH_BYTES).
        limit: usize,
    },
    /// The queue is not installed in the search path of the connection, or in an older version: run
    /// [`migrate`](crate::migrate). Or the role may not use its schema: to PostgreSQL, that is the same.
    #[error(
        "the queue's functions are not in the search path: run `sqlxmq::migrate(&pool)` or `cargo xtask migrate`, or grant the role `usage` on their schema"
    )]
    SchemaMissing {
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
    /// The statement failed.
    #[error("failed to store {}", Jobs(.name, *.count))]
    Store {
        /// The name of the first job.
        name: String,
        /// How many jobs were to be stored.
        count: usize,
        /// What PostgreSQL or the connection said.
        source: sqlx::Error,
    },
}

crate::error::readable::debug_is_readable!(SpawnError);

impl SpawnError {
    /// Returns whether the same call may succeed later without anybody's intervention.
    ///
    /// Outside of a transaction, a spawn whose connection was lost may have been stored: call again with the same
    /// ids, and take [`SpawnError::DuplicateId`] for success. A job that has ended by then runs again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } => is_transient(source),
            _ => false,
        }
    }

    pub(crate) fn store(name: &str, count: usize, source: sqlx::Error) -> Self {
        match is_schema_missing(&source) {
            true => Self::SchemaMissing { source },
            false => Self::Store {
                name: name.to_owned(),
                count,
                source,
            },
        }
    }
}

/// The first few ids, and how many more there are: an error message of a large batch stays one line.
pub(super) struct Ids<'a>(pub(super) &'a [Uuid]);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        for (index, id) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{id}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

struct Jobs<'a>(&'a str, usize);

impl fmt::Display for Jobs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1.saturating_sub(1) {
            0 => write!(f, "job `{}`", self.0),
            more => write!(f, "job `{}` and {more} more", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_large_batches_stay_short() {
        let ids: Vec<Uuid> = (1..=1000).map(Uuid::from_u128).collect();
        let message = SpawnError::DuplicateId { ids }.to_string();
        assert!(message.ends_with("00000005 and 995 more"), "{message}");

        let message = SpawnError::store("mail", 3, sqlx::Error::PoolClosed).to_string();
        assert_eq!(message, "failed to store job `mail` and 2 more");
        let message = SpawnError::store("mail", 1, sqlx::Error::PoolClosed).to_string();
        assert_eq!(message, "failed to store job `mail`");
    }
}
