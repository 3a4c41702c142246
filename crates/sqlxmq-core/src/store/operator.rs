//! Calls of the operator's SQL functions. Nothing is decided here.

use chrono::{DateTime, Utc};
use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::sql::operator as sql;

/// A row of `mq_dead_jobs`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct DeadJobRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) channel_name: String,
    pub(crate) channel_args: String,
    pub(crate) attempts: i32,
    pub(crate) died_at: DateTime<Utc>,
    pub(crate) last_error: Option<String>,
}

/// A row of `mq_job_errors`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct JobErrorRow {
    pub(crate) attempt: i32,
    pub(crate) failed_at: DateTime<Utc>,
    pub(crate) error: String,
}

/// A row of `mq_counts`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct CountRow {
    pub(crate) channel_name: String,
    pub(crate) channel_args: String,
    pub(crate) state: String,
    pub(crate) jobs: i64,
}

/// Returns at most `max_jobs` dead jobs by id, after the given one.
pub(crate) async fn dead_jobs<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    max_jobs: i32,
    after_id: Option<Uuid>,
) -> Result<Vec<DeadJobRow>, sqlx::Error> {
    sqlx::query_as(sql::DEAD_JOBS)
        .bind(max_jobs)
        .bind(after_id)
        .fetch_all(executor)
        .await
}

/// Makes dead jobs ready again; returns those that were dead.
pub(crate) async fn requeue<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(sql::REQUEUE)
        .bind(ids)
        .fetch_one(executor)
        .await
}

/// Removes dead jobs; returns those that were dead.
pub(crate) async fn discard<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(sql::DISCARD)
        .bind(ids)
        .fetch_one(executor)
        .await
}

/// Returns the errors of a job's attempts.
pub(crate) async fn job_errors<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    id: Uuid,
) -> Result<Vec<JobErrorRow>, sqlx::Error> {
    sqlx::query_as(sql::JOB_ERRORS).bind(id).fetch_all(executor).await
}

/// Returns how many jobs there are per channel and state.
pub(crate) async fn counts<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
) -> Result<Vec<CountRow>, sqlx::Error> {
    sqlx::query_as(sql::COUNTS).fetch_all(executor).await
}
