//! What happened to a job in one attempt.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use crate::runner::attempt::{Attempt, Fate};
use crate::sql::testing as sql;

/// One attempt that the kit has run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// The id of the job.
    pub id: Uuid,
    /// The name it is stored under.
    pub name: String,
    /// Which attempt it was, counted from 1.
    pub attempt: u32,
    /// How the attempt ended.
    pub ended: Ended,
    /// The error that was recorded.
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The job is completed, and gone.
    Completed,
    /// The attempt failed; the next one is due after that time.
    Retries {
        /// By the queue's clock, at the end of the attempt.
        after: Duration,
    },
    /// The job was put off for that time, or given back; no attempt was used.
    Released {
        /// By the queue's clock, at the end of the attempt.
        after: Duration,
    },
    /// The attempt failed and the job is dead.
    Dead,
    /// The job was taken from the attempt: its lease was lost, or it was cancelled.
    Lost,
}

/// Reads what became of an attempt whose outcome is stored.
pub(crate) async fn look_at(pool: &PgPool, attempt: &Attempt) -> Result<Ran, sqlx::Error> {
    let number = i32::try_from(attempt.number).unwrap_or(i32::MAX);
    let (exists, is_dead, due_in, error): (bool, bool, Option<i64>, Option<String>) =
        sqlx::query_as(sql::WHAT_BECAME)
            .bind(attempt.id)
            .bind(number)
            .fetch_one(pool)
            .await?;
    let after = Duration::from_micros(due_in.unwrap_or(0).max(0).unsigned_abs());
    let ended = match attempt.fate() {
        Fate::Completed => Ended::Completed,
        Fate::Failed if is_dead => Ended::Dead,
        Fate::Failed => Ended::Retries { after },
        Fate::Released => Ended::Released { after },
        // A completion in a transaction of the job's own: the database knows.
        Fate::Open | Fate::Completing if !exists => Ended::Completed,
        Fate::Open | Fate::Completing | Fate::Lost => Ended::Lost,
    };
    let error = error.filter(|_| matches!(ended, Ended::Retries { .. } | Ended::Dead));
    Ok(Ran {
        id: attempt.id,
        name: attempt.name().to_owned(),
        attempt: attempt.number,
        ended,
        error,
    })
}
