//! Dead jobs and the errors of attempts. Each function is one statement.

use chrono::{DateTime, Utc};
use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::error::AdminError;
use crate::store::operator;

/// A job that is out of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJob {
    /// The id of the job.
    pub id: Uuid,
    /// The name of the job.
    pub name: String,
    /// The name of its channel.
    pub channel_name: String,
    /// The arguments of its channel.
    pub channel_args: String,
    /// How many attempts it had.
    pub attempts: u32,
    /// When its last attempt ended, by the database's clock.
    pub died_at: DateTime<Utc>,
    /// The error of its last attempt.
    pub last_error: Option<String>,
}

/// Returns at most `max_jobs` dead jobs by id, beginning after the id `after`.
///
/// For the next page, pass the id of the last job of this one.
///
/// # Errors
///
/// Returns an error if the statement fails.
///
/// # Cancel safety
///
/// Cancel safe: it only reads.
pub async fn dead_jobs<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    max_jobs: u32,
    after: Option<Uuid>,
) -> Result<Vec<DeadJob>, AdminError> {
    let max_jobs = i32::try_from(max_jobs).unwrap_or(i32::MAX);
    let rows = operator::dead_jobs(executor, max_jobs, after)
        .await
        .map_err(AdminError::while_trying_to("list dead jobs"))?;
    Ok(rows.into_iter().map(DeadJob::from).collect())
}

impl From<operator::DeadJobRow> for DeadJob {
    fn from(row: operator::DeadJobRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            channel_name: row.channel_name,
            channel_args: row.channel_args,
            attempts: row.attempts.unsigned_abs(),
            died_at: row.died_at,
            last_error: row.last_error,
        }
    }
}

/// Makes dead jobs ready again with all their attempts, and returns those that were dead.
///
/// # Errors
///
/// Returns an error if the statement fails.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been requeued. Call again.
pub async fn requeue<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    job_ids: &[Uuid],
) -> Result<Vec<Uuid>, AdminError> {
    if job_ids.is_empty() {
        return Ok(Vec::new());
    }
    operator::requeue(executor, job_ids)
        .await
        .map_err(AdminError::while_trying_to("requeue dead jobs"))
}

/// Removes dead jobs with their errors, and returns those that were dead.
///
/// # Errors
///
/// Returns an error if the statement fails.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been removed. Call again.
pub async fn discard<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    job_ids: &[Uuid],
) -> Result<Vec<Uuid>, AdminError> {
    if job_ids.is_empty() {
        return Ok(Vec::new());
    }
    operator::discard(executor, job_ids)
        .await
        .map_err(AdminError::while_trying_to("discard dead jobs"))
}

/// The error of one attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptError {
    /// Which attempt failed; the first is 1.
    pub attempt: u32,
    /// When it failed, by the database's clock.
    pub failed_at: DateTime<Utc>,
    /// The error, cut at 8 KiB.
    pub error: String,
}

/// Returns the errors of a job's attempts, the last 20, oldest first.
///
/// # Errors
///
/// Returns an error if the statement fails.
///
/// # Cancel safety
///
/// Cancel safe: it only reads.
pub async fn job_errors<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
    id: Uuid,
) -> Result<Vec<AttemptError>, AdminError> {
    let rows = operator::job_errors(executor, id)
        .await
        .map_err(AdminError::while_trying_to("list the errors of a job"))?;
    let errors = rows.into_iter().map(|row| AttemptError {
        attempt: row.attempt.unsigned_abs(),
        failed_at: row.failed_at,
        error: row.error,
    });
    Ok(errors.collect())
}
