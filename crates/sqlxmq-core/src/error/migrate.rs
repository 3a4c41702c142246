//! Why the schema could not be brought up to date.

use super::classify::is_transient;

/// Why the schema could not be brought up to date.
///
/// Each migration is one transaction: those before the failed one stay applied.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// No connection could be opened.
    #[error("failed to connect for the migration")]
    Connect {
        /// What the connection said.
        source: sqlx::Error,
    },
    /// No schema of the connection's search path exists, so there is no place for the tables.
    #[error("no schema of the search path exists: create one (`create schema …`)")]
    NoSchema,
    /// The database was migrated by a newer version of this crate. It can be used by this one, but not migrated.
    #[error("the database has migration {version}, this program ends with {newest}")]
    NewerDatabase {
        /// The newest migration of the database.
        version: i64,
        /// The newest migration of this program.
        newest: i64,
    },
    /// The database has a migration that this program does not know, although it knows newer ones.
    #[error("the database has migration {version}, which is not part of this program")]
    UnknownMigration {
        /// The migration.
        version: i64,
    },
    /// A migration that was applied reads differently in this program.
    #[error("migration {version} was changed after it was applied")]
    ChangedMigration {
        /// The migration.
        version: i64,
    },
    /// A migration failed. It left nothing behind.
    #[error("migration {version} failed")]
    Apply {
        /// The migration.
        version: i64,
        /// What PostgreSQL or the connection said.
        source: sqlx::Error,
    },
    /// A statement around the migrations failed: taking the lock, or reading and writing `mq_migrations`.
    #[error("failed to {step}")]
    Bookkeeping {
        /// What was tried.
        step: &'static str,
        /// What PostgreSQL or the connection said.
        source: sqlx::Error,
    },
}

crate::error::readable::debug_is_readable!(MigrateError);

impl MigrateError {
    /// Returns whether the same call may succeed later without anybody's intervention.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source } | Self::Apply { source, .. } | Self::Bookkeeping { source, .. } => {
                is_transient(source)
            }
            _ => false,
        }
    }
}
