//! Why held jobs could not be committed.

use uuid::Uuid;

use super::classify::{is_schema_missing, is_transient};
use super::spawn::Ids;

/// Why held jobs could not be committed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Some of the jobs are not held: their interval was over, they were committed or cancelled before, or they never
    /// were. The statement itself succeeded: the other jobs are committed as the caller's transaction is.
    #[error("jobs are not waiting for their commit: {}", Ids(.missing))]
    Expired {
        /// The jobs that were committed by this call.
        committed: Vec<Uuid>,
        /// The jobs that were not.
        missing: Vec<Uuid>,
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
    /// The statement failed. No job was committed, unless the connection was lost: call again.
    #[error("failed to commit {count} held jobs")]
    Store {
        /// How many jobs were to be committed.
        count: usize,
        /// What PostgreSQL or the connection said.
        source: sqlx::Error,
    },
}

crate::error::readable::debug_is_readable!(CommitError);

impl CommitError {
    /// Returns whether the same call may succeed later without anybody's intervention.
    ///
    /// After a lost connection outside of a transaction, the jobs may have been committed: a second call
    /// then reports them as missing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } => is_transient(source),
            _ => false,
        }
    }

    pub(crate) fn store(count: usize, source: sqlx::Error) -> Self {
        match is_schema_missing(&source) {
            true => Self::SchemaMissing { source },
            false => Self::Store { count, source },
        }
    }
}
