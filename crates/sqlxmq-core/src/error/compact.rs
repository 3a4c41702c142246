//! Why the queue's tables could not be made small.

use super::classify::is_transient;

/// Why the queue's tables could not be made small. What was done before stays done, and no job was touched.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// No connection could be opened.
    #[error("failed to connect to compact the queue's tables")]
    Connect {
        /// What the connection said.
        source: sqlx::Error,
    },
    /// The queue is not installed in the search path of the connection: run [`migrate`](crate::migrate). Or the role may not use its
    /// schema: to PostgreSQL, that is the same.
    #[error(
        "the queue's tables are not in the search path: run `sqlxmq::migrate(&pool)` or `cargo xtask migrate`, or connect as the role that did"
    )]
    SchemaMissing,
    /// The role lacks the right to vacuum these tables. Nothing was done.
    #[error(
        "the role may not vacuum {}: connect as their owner; or, on PostgreSQL 17 or later, grant it `maintain` on them and `execute` on `mq_lock_base()`",
        .tables.join(", ")
    )]
    NotAllowed {
        /// The tables.
        tables: Vec<String>,
    },
    /// A runner, or another call, is compacting the tables. Nothing was done.
    #[error("another session is compacting the queue's tables")]
    Busy,
    /// A statement failed.
    #[error("failed to compact the queue's tables")]
    Query {
        /// What PostgreSQL or the connection said.
        source: sqlx::Error,
    },
}

crate::error::readable::debug_is_readable!(CompactError);

impl CompactError {
    /// Returns whether the same call may succeed later without anybody's intervention.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source } | Self::Query { source } => is_transient(source),
            Self::Busy => true,
            Self::SchemaMissing | Self::NotAllowed { .. } => false,
        }
    }
}
