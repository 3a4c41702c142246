//! How a runner says that it sleeps, and whom it may have missed.

use sqlx::PgConnection;

use crate::sql::runner as sql;

pub(crate) async fn sleep(connection: &mut PgConnection, buckets: &[i32]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::SLEEP)
        .bind(buckets)
        .fetch_one(connection)
        .await
}

pub(crate) async fn awaken(connection: &mut PgConnection, buckets: &[i32]) -> Result<(), sqlx::Error> {
    sqlx::query(sql::AWAKEN).bind(buckets).execute(connection).await?;
    Ok(())
}

pub(crate) async fn in_flight(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(sql::IN_FLIGHT).fetch_one(connection).await
}
