//! Making the tables small by hand, for those whose runners may not.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};

use crate::compact::{Bounds, CompactedTable, Compaction, round};
use crate::error::CompactError;
use crate::store::compact as store;

/// Makes the queue's tables small again where they are far larger than what is in them, and returns what was done.
///
/// It is what runners do by themselves, unless their role may not:
/// [`JobRunnerOptions::set_compaction`](crate::JobRunnerOptions::set_compaction) says when a table is vacuumed, when it is rewritten,
/// and how long the queue stands still for it. Calling it when there is nothing to do costs one look at the statistics, so it can be
/// called every minute. It uses a connection of its own, which must be a session: not one through PgBouncer in transaction mode.
///
/// # Errors
///
/// Returns [`CompactError::NotAllowed`] if the role neither owns the tables nor has `maintain` on them, and [`CompactError::Busy`] while
/// a runner is at it. That a table could not be rewritten, since somebody has a lock on it, is no error: see [`Compaction`].
///
/// # Cancel safety
///
/// Cancel safe: what was done stays done, and the statement that is under way is ended by the server within a second or two (on
/// Linux and macOS), or goes on to its end.
///
/// # Examples
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// for done in sqlxmq_core::compact(&pool).await? {
///     println!("{}: {} bytes, now {}", done.table, done.bytes_before, done.bytes_after);
/// }
/// # Ok(())
/// # }
/// ```
pub async fn compact(pool: &PgPool) -> Result<Vec<CompactedTable>, CompactError> {
    let options = pool.connect_options();
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(|source| CompactError::Connect { source })?;
    let outcome = compact_on(&mut connection, &options).await;
    // The lock belongs to the session, so the session must end on success and on failure.
    let _ = connection.close().await;
    outcome
}

async fn compact_on(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<Vec<CompactedTable>, CompactError> {
    let failed = |source| CompactError::Query { source };
    let bounds = Bounds::default();
    let tables = store::look(connection).await.map_err(failed)?;
    if tables.is_empty() {
        return Err(CompactError::SchemaMissing);
    }
    let others: Vec<String> = tables
        .into_iter()
        .filter(|table| !table.is_ours)
        .map(|table| table.name)
        .collect();
    if !others.is_empty() {
        return Err(CompactError::NotAllowed { tables: others });
    }
    if !store::begin(connection).await.map_err(failed)? {
        return Err(CompactError::Busy);
    }
    let mut done: Vec<CompactedTable> = Vec::new();
    loop {
        let round = round(connection, options, &bounds, &|_| true)
            .await
            .map_err(failed)?;
        let is_more = round.is_more;
        // A table that was oversized beside a larger one comes again: what counts is how it was at first, and what came of it.
        for table in round.tables {
            match done.iter_mut().find(|before| before.table == table.table) {
                Some(before) => {
                    before.bytes_after = table.bytes_after;
                    if before.outcome != Compaction::Rewritten {
                        before.outcome = table.outcome;
                    }
                }
                None => done.push(table),
            }
        }
        if !is_more {
            return Ok(done);
        }
    }
}
