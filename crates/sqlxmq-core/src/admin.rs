//! Looking at the queue, and removing or reviving jobs. Each function is one statement.

use chrono::{DateTime, Utc};
use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::error::{AdminError, UnknownJobState};
use crate::store::{operator, producer};

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

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Spawned with a commit interval, not committed yet.
    Held,
    /// Waiting for its delay or its backoff to pass.
    Scheduled,
    /// Waiting to be claimed.
    Ready,
    /// Claimed by a runner.
    Running,
    /// Out of attempts.
    Dead,
}

impl JobState {
    /// Returns the state as SQL names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for JobState {
    type Err = UnknownJobState;

    fn from_str(state: &str) -> Result<Self, Self::Err> {
        [
            Self::Held,
            Self::Scheduled,
            Self::Ready,
            Self::Running,
            Self::Dead,
        ]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| UnknownJobState {
            state: state.to_owned(),
        })
    }
}

/// How many jobs of a channel are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelCount {
    /// The name of the channel.
    pub channel_name: String,
    /// The arguments of the channel.
    pub channel_args: String,
    /// The state.
    pub state: JobState,
    /// How many jobs.
    pub jobs: u64,
}

/// Returns how many jobs there are per channel and state, exact to within the last 10 s.
///
/// Channels without jobs in a state are left out.
///
/// # Errors
///
/// Returns an error if the statement fails, or if a newer schema has a state that this version does not know.
///
/// # Cancel safety
///
/// Cancel safe: it only reads.
pub async fn counts<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
) -> Result<Vec<ChannelCount>, AdminError> {
    let rows = operator::counts(executor)
        .await
        .map_err(AdminError::while_trying_to("count jobs"))?;
    rows.into_iter().map(ChannelCount::try_from).collect()
}

impl TryFrom<operator::CountRow> for ChannelCount {
    type Error = AdminError;

    fn try_from(row: operator::CountRow) -> Result<Self, AdminError> {
        Ok(Self {
            channel_name: row.channel_name,
            channel_args: row.channel_args,
            state: row.state.parse()?,
            jobs: row.jobs.unsigned_abs(),
        })
    }
}
