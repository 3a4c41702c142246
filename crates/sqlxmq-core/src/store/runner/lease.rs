//! A runner's lease: its start, its renewals with their audit, its end.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::micros;
use crate::sql::runner as sql;

pub(crate) async fn register(
    connection: &mut PgConnection,
    runner: Uuid,
    lease: Duration,
    description: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql::REGISTER)
        .bind(runner)
        .bind(micros(lease))
        .bind(description)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn renew(
    connection: &mut PgConnection,
    runner: Uuid,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::RENEW)
        .bind(runner)
        .bind(micros(lease))
        .fetch_one(connection)
        .await
}

/// What an audit found.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Audit {
    /// Held without a row.
    pub(crate) lost: Vec<Uuid>,
    /// Rows that nobody held.
    pub(crate) failed: Vec<Uuid>,
}

pub(crate) async fn audit(
    connection: &mut PgConnection,
    runner: Uuid,
    ids: &[Uuid],
    claims: &[i64],
    before_claim: i64,
) -> Result<Audit, sqlx::Error> {
    sqlx::query_as(sql::AUDIT)
        .bind(runner)
        .bind(ids)
        .bind(claims)
        .bind(before_claim)
        .fetch_one(connection)
        .await
}

pub(crate) async fn unregister(connection: &mut PgConnection, runner: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql::UNREGISTER)
        .bind(runner)
        .fetch_one(connection)
        .await
}
