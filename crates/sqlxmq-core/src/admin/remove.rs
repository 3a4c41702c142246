//! Removing jobs whatever their state, and asking whether one is there. Each function is one statement.

use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::error::AdminError;
use crate::store::producer;

/// Removes all jobs of the given channel names, whatever their channel arguments and state.
///
/// A job that is running is removed too: it can no longer complete. An empty slice removes nothing.
///
/// # Errors
///
/// Returns [`AdminError::Nul`] for a name that no channel can have.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been removed. Call again.
pub async fn clear<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    channel_names: &[&str],
) -> Result<(), AdminError> {
    // PostgreSQL has no NUL in its texts: it would end the caller's transaction with an error.
    if let Some(name) = channel_names.iter().find(|name| name.contains('\0')) {
        return Err(AdminError::Nul {
            name: (*name).to_owned(),
        });
    }
    if channel_names.is_empty() {
        return Ok(());
    }
    producer::clear(executor, channel_names)
        .await
        .map_err(AdminError::while_trying_to("clear channels"))?;
    Ok(())
}

/// Removes all jobs of all channels, whatever their state.
///
/// # Errors
///
/// Returns an error if the statement fails.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been removed. Call again.
pub async fn clear_all<'b, E: Executor<'b, Database = Postgres>>(executor: E) -> Result<(), AdminError> {
    producer::clear_all(executor)
        .await
        .map_err(AdminError::while_trying_to("clear all channels"))?;
    Ok(())
}

/// Returns whether there is a job with the id: waiting, running or dead. A completed job is gone.
///
/// # Errors
///
/// Returns an error if the statement fails.
///
/// # Cancel safety
///
/// Cancel safe: it only reads.
pub async fn exists<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    id: Uuid,
) -> Result<bool, AdminError> {
    producer::exists(executor, id)
        .await
        .map_err(AdminError::while_trying_to("look for a job"))
}

/// Removes jobs, whatever their state, and returns those that were there.
///
/// A job that is running is told by its cancellation token at the next renewal, and can no longer complete.
///
/// # Errors
///
/// Returns an error if the statement fails. Under REPEATABLE READ and SERIALIZABLE it may fail with 40001.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been removed. Call again.
pub async fn cancel<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    job_ids: &[Uuid],
) -> Result<Vec<Uuid>, AdminError> {
    if job_ids.is_empty() {
        return Ok(Vec::new());
    }
    producer::cancel(executor, job_ids)
        .await
        .map_err(AdminError::while_trying_to("cancel jobs"))
}
