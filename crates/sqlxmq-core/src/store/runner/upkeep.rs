//! What a runner does for the whole queue: makes due jobs ready, reaps, counts.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::sql::runner as sql;

/// The answer to a promotion.
#[derive(Debug)]
pub(crate) struct Promoted {
    pub(crate) promoted: i32,
    pub(crate) expired: i32,
    /// When the next job is due. `None`: nothing is scheduled.
    pub(crate) next_in: Option<Duration>,
}

pub(crate) async fn promote(connection: &mut PgConnection, max_jobs: i32) -> Result<Promoted, sqlx::Error> {
    let (promoted, expired, next_in_us): (i32, i32, Option<i64>) = sqlx::query_as(sql::PROMOTE)
        .bind(max_jobs)
        .fetch_one(connection)
        .await?;
    let next_in = next_in_us.map(|us| Duration::from_micros(us.max(0).unsigned_abs()));
    Ok(Promoted {
        promoted,
        expired,
        next_in,
    })
}

/// A runner's heartbeat as seen now.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct RunnerSeen {
    pub(crate) runner: Uuid,
    pub(crate) beat: i64,
    pub(crate) expired: bool,
}

pub(crate) async fn runners_seen(connection: &mut PgConnection) -> Result<Vec<RunnerSeen>, sqlx::Error> {
    sqlx::query_as(sql::RUNNERS_SEEN).fetch_all(connection).await
}

/// Returns how many runners and jobs.
pub(crate) async fn reap(
    connection: &mut PgConnection,
    runners: &[Uuid],
    beats: &[i64],
) -> Result<(i32, i32), sqlx::Error> {
    sqlx::query_as(sql::REAP)
        .bind(runners)
        .bind(beats)
        .fetch_one(connection)
        .await
}

pub(crate) async fn reap_jobs(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql::REAP_JOBS).fetch_one(connection).await
}

pub(crate) async fn refresh_counts(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sql::REFRESH_COUNTS).execute(connection).await?;
    Ok(())
}
