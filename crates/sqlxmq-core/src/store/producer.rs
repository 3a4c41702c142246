//! Calls of the producer's SQL functions. Nothing is decided here.

use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::sql::producer as sql;

/// The arguments of `mq_spawn_all`: one element for each job in each column.
#[derive(Debug, Default)]
pub(crate) struct SpawnColumns<'a> {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) names: Vec<&'a str>,
    pub(crate) channel_names: Vec<&'a str>,
    pub(crate) channel_args: Vec<&'a str>,
    pub(crate) ordered: Vec<bool>,
    pub(crate) retries: Vec<i32>,
    pub(crate) backoffs_us: Vec<i64>,
    pub(crate) max_backoffs_us: Vec<i64>,
    pub(crate) delays_us: Vec<i64>,
    /// When each is due, in place of its delay, in microseconds since 1970.
    pub(crate) due_us: Vec<Option<i64>>,
    pub(crate) commit_intervals_us: Vec<Option<i64>>,
    pub(crate) payloads_json: Vec<Option<&'a str>>,
    pub(crate) payloads_bytes: Vec<Option<&'a [u8]>>,
}

/// Stores jobs, all or none; returns the ids that were taken already.
pub(crate) async fn spawn_all<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    columns: SpawnColumns<'_>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if let [id] = columns.ids[..]
        && columns.due_us == [None]
    {
        let is_spawned = spawn_one(executor, &columns).await?;
        return Ok(if is_spawned { Vec::new() } else { vec![id] });
    }
    // Most jobs have no such time, and then the column is not sent.
    let is_timed = columns.due_us.iter().any(Option::is_some);
    let query = sqlx::query_scalar(match is_timed {
        true => sql::SPAWN_ALL_AT,
        false => sql::SPAWN_ALL,
    });
    let query = query
        .bind(columns.ids)
        .bind(once_if_shared(&columns.names))
        .bind(once_if_shared(&columns.channel_names))
        .bind(once_if_shared(&columns.channel_args))
        .bind(once_if_shared(&columns.ordered))
        .bind(once_if_shared(&columns.retries))
        .bind(once_if_shared(&columns.backoffs_us))
        .bind(once_if_shared(&columns.max_backoffs_us))
        .bind(once_if_shared(&columns.delays_us))
        .bind(once_if_shared(&columns.commit_intervals_us))
        .bind(once_if_shared(&columns.payloads_json))
        .bind(once_if_shared(&columns.payloads_bytes));
    let query = match is_timed {
        true => query.bind(once_if_shared(&columns.due_us)),
        false => query,
    };
    query.fetch_one(executor).await
}

/// What all jobs share is sent once: to encode, send and decode eleven columns of a thousand is a good part of what it takes to store them.
fn once_if_shared<T: PartialEq>(column: &[T]) -> &[T] {
    match column {
        [first, others @ ..] if others.iter().all(|other| other == first) => &column[..1],
        _ => column,
    }
}

async fn spawn_one<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    columns: &SpawnColumns<'_>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::SPAWN_ONE)
        .bind(columns.ids[0])
        .bind(columns.names[0])
        .bind(columns.channel_names[0])
        .bind(columns.channel_args[0])
        .bind(columns.ordered[0])
        .bind(columns.retries[0])
        .bind(columns.backoffs_us[0])
        .bind(columns.max_backoffs_us[0])
        .bind(columns.delays_us[0])
        .bind(columns.commit_intervals_us[0])
        .bind(columns.payloads_json[0])
        .bind(columns.payloads_bytes[0])
        .fetch_one(executor)
        .await
}

/// Commits held jobs; returns those that were committed.
pub(crate) async fn commit<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(sql::COMMIT)
        .bind(ids)
        .fetch_one(executor)
        .await
}

/// Removes jobs in whatever state; returns those that were removed.
pub(crate) async fn cancel<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(sql::CANCEL)
        .bind(ids)
        .fetch_one(executor)
        .await
}

/// Removes the jobs of the given channel names; returns how many.
pub(crate) async fn clear<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    channel_names: &[&str],
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql::CLEAR)
        .bind(channel_names)
        .fetch_one(executor)
        .await
}

/// Removes all jobs; returns how many.
pub(crate) async fn clear_all<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql::CLEAR_ALL).fetch_one(executor).await
}

/// Returns whether there is a job with the id.
pub(crate) async fn exists<'e, E: Executor<'e, Database = Postgres>>(
    executor: E,
    id: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::EXISTS).bind(id).fetch_one(executor).await
}
