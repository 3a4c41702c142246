//! What a runner asks of the server it is connected to.

use sqlx::PgConnection;

use crate::sql::runner as sql;

pub(crate) async fn keys(connection: &mut PgConnection, texts: &[String]) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(sql::KEYS)
        .bind(texts)
        .fetch_one(connection)
        .await
}

pub(crate) async fn schema_is_there(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::SCHEMA_IS_THERE)
        .fetch_one(connection)
        .await
}

pub(crate) async fn xact_status(
    connection: &mut PgConnection,
    xid: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(sql::XACT_STATUS)
        .bind(xid)
        .fetch_one(connection)
        .await
}

pub(crate) async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::IS_STANDBY).fetch_one(connection).await
}

pub(crate) async fn timeline(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(sql::TIMELINE).fetch_one(connection).await
}
