//! Why a look at the queue, or a change to it, failed.

use super::classify::{is_schema_missing, is_transient};

/// Why an operator's function failed. It changed nothing.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// A channel name holds a NUL character, so no job can have it. The connection was not used.
    #[error("the channel name {name:?} holds a NUL character")]
    Nul {
        /// The channel name.
        name: String,
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
    /// The database is newer than this version and has a state that it does not know.
    #[error("failed to read the state of jobs")]
    UnknownState(#[from] UnknownJobState),
    /// The statement failed.
    #[error("failed to {action}")]
    Query {
        /// What was tried.
        action: &'static str,
        /// What PostgreSQL or the connection said.
        source: sqlx::Error,
    },
}

crate::error::readable::debug_is_readable!(AdminError);

impl AdminError {
    /// Returns whether the same call may succeed later without anybody's intervention.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Query { source, .. } => is_transient(source),
            _ => false,
        }
    }

    /// Returns a function that wraps what PostgreSQL said when `action` was tried.
    pub(crate) fn while_trying_to(action: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| match is_schema_missing(&source) {
            true => Self::SchemaMissing { source },
            false => Self::Query { action, source },
        }
    }
}

/// The database has jobs in a state that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown job state `{state}`")]
pub struct UnknownJobState {
    /// The state, as the database names it.
    pub state: String,
}
