//! Bringing the schema up to date. What the migrations do is in `migrations/`; how they are run is here.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::error::MigrateError;
use crate::sql::migrate as sql;
use crate::store::timeout::replace_statement_timeout;

/// Our own table: the application's migrations are kept in `_sqlx_migrations`, and neither must see the other's.
const TABLE: &str = "mq_migrations";

/// How often the lock is tried while another process migrates.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.dangerous_set_table_name(TABLE);
    // sqlx's lock is the one that the application's migrations take: we have our own.
    migrator.set_locking(false);
    migrator
});

/// Returns the migrations of this version, for chores and tests.
///
/// It takes no lock of its own: whoever runs it makes sure to be alone.
#[doc(hidden)]
pub fn migrator() -> &'static Migrator {
    &MIGRATOR
}

/// Installs the queue's tables and functions, or brings them up to date.
///
/// They go into the first schema that exists of the pool's search path (as its connect options set it; a search path
/// set by an `after_connect` hook is not seen). Calling it again is cheap and changes nothing, so a program can
/// call it at each start; processes that call it at once wait for each other. It uses a connection of its own, which
/// must be a session: not one through PgBouncer in transaction mode.
///
/// # Errors
///
/// Returns [`MigrateError::NewerDatabase`] if a newer version of this crate was here before; the queue can be used.
///
/// # Cancel safety
///
/// Cancel safe. The connection is closed, which ends the migration that was under way without a trace; call
/// again to go on.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    migrate_with(&pool.connect_options()).await
}

/// Does the same as [`migrate`] with a connection made from the given options.
#[doc(hidden)]
pub async fn migrate_with(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(options)
        .await
        .map_err(|source| MigrateError::Connect { source })?;
    let outcome = migrate_on(&mut connection).await;
    // The lock belongs to the session, so the session must end on success and on failure. The server notices the closed
    // socket even if the goodbye is lost.
    let _ = connection.close().await;
    outcome
}

async fn migrate_on(connection: &mut PgConnection) -> Result<(), MigrateError> {
    replace_statement_timeout(connection, sql::NO_STATEMENT_TIMEOUT)
        .await
        .map_err(bookkeeping("prepare the session"))?;
    connection
        .execute(sql::PREPARE_SESSION)
        .await
        .map_err(bookkeeping("prepare the session"))?;
    let schema: Option<String> = sqlx::query_scalar(sql::CURRENT_SCHEMA)
        .fetch_one(&mut *connection)
        .await
        .map_err(bookkeeping("look up the schema"))?;
    if schema.is_none() {
        return Err(MigrateError::NoSchema);
    }
    lock(connection).await?;
    MIGRATOR
        .run_direct(None, connection, false)
        .await
        .map_err(explain)
}

/// Takes the lock that keeps two migrations of one schema apart.
///
/// It is tried again and again rather than waited for: a statement that waits holds a snapshot.
async fn lock(connection: &mut PgConnection) -> Result<(), MigrateError> {
    loop {
        let locked: bool = sqlx::query_scalar(sql::TRY_LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(bookkeeping("take the migration lock"))?;
        if locked {
            return Ok(());
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

fn bookkeeping(step: &'static str) -> impl Fn(sqlx::Error) -> MigrateError {
    move |source| MigrateError::Bookkeeping { step, source }
}

fn explain(error: sqlx::migrate::MigrateError) -> MigrateError {
    use sqlx::migrate::MigrateError as Sqlx;
    let newest = MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    match error {
        Sqlx::VersionMissing(version) if version > newest => MigrateError::NewerDatabase { version, newest },
        Sqlx::VersionMissing(version) => MigrateError::UnknownMigration { version },
        Sqlx::VersionMismatch(version) => MigrateError::ChangedMigration { version },
        Sqlx::ExecuteMigration(source, version) => MigrateError::Apply { version, source },
        Sqlx::Execute(source) => bookkeeping("keep the books of the migrations")(source),
        other => bookkeeping("keep the books of the migrations")(sqlx::Error::Migrate(Box::new(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_keep_their_own_books_and_lock() {
        assert_eq!(migrator().table_name, "mq_migrations");
        assert!(!migrator().locking);
        assert!(migrator().iter().count() > 0);
    }

    #[test]
    fn a_newer_database_is_told_from_an_unknown_one() {
        use sqlx::migrate::MigrateError as Sqlx;
        let newest = migrator()
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0);
        assert!(matches!(
            explain(Sqlx::VersionMissing(newest + 1)),
            MigrateError::NewerDatabase { .. }
        ));
        assert!(matches!(
            explain(Sqlx::VersionMissing(-1)),
            MigrateError::UnknownMigration { version: -1 }
        ));
        assert!(matches!(
            explain(Sqlx::VersionMismatch(1)),
            MigrateError::ChangedMigration { version: 1 }
        ));
    }
}
