//! What becomes of running jobs: completed, failed, released, or on their way with a checkpoint or a lease of their own.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::claim::{Payload, PayloadColumns};
use super::micros;
use crate::sql::runner as sql;

/// Whether a fence (PROTOCOL rule 11) waits for somebody who has the row locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    /// Waits for the lock.
    Wait,
    /// Leaves that row out.
    Skip,
}

/// The answer to a completion.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Completed {
    pub(crate) completed: Vec<Uuid>,
    /// The transaction's id, absent if nothing was completed.
    pub(crate) xid: Option<String>,
}

pub(crate) async fn complete(
    connection: &mut PgConnection,
    runner: Uuid,
    ids: &[Uuid],
    claims: &[i64],
    locked: Locked,
) -> Result<Completed, sqlx::Error> {
    sqlx::query_as(sql::COMPLETE)
        .bind(runner)
        .bind(ids)
        .bind(claims)
        .bind(locked == Locked::Wait)
        .fetch_one(connection)
        .await
}

/// What a completion claims beside: the next in line of ordered channels.
#[derive(Debug)]
pub(crate) struct NextInLine<'a> {
    pub(crate) claim: i64,
    pub(crate) name_keys: Option<&'a [i64]>,
    /// Jobs whose channels wait for a turn.
    pub(crate) pausing: &'a [Uuid],
}

/// The answer to a completion that claims.
#[derive(sqlx::FromRow)]
pub(crate) struct CompletedAndClaimed {
    #[sqlx(flatten)]
    pub(crate) completed: Completed,
    pub(crate) next_ids: Vec<Uuid>,
    next_attempts: Option<Vec<i32>>,
    behind: Option<Vec<Uuid>>,
    #[sqlx(flatten)]
    payloads: PayloadColumns,
}

/// A job that was claimed when the one before it was completed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next {
    pub(crate) id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) behind: Uuid,
}

impl CompletedAndClaimed {
    /// Of a completion that was not to claim.
    pub(crate) fn without_next(completed: Completed) -> Self {
        Self {
            completed,
            next_ids: Vec::new(),
            next_attempts: None,
            behind: None,
            payloads: PayloadColumns::default(),
        }
    }

    pub(crate) fn next(&self) -> impl Iterator<Item = Next> {
        let attempts = self.next_attempts.iter().flatten();
        let behind = self.behind.iter().flatten();
        self.next_ids
            .iter()
            .zip(attempts.zip(behind))
            .map(|(id, (attempt, behind))| Next {
                id: *id,
                attempt: *attempt,
                behind: *behind,
            })
    }

    pub(crate) fn take_payloads(&mut self) -> Vec<Payload> {
        self.payloads.take(&self.next_ids)
    }
}

pub(crate) async fn complete_and_claim(
    connection: &mut PgConnection,
    runner: Uuid,
    ids: &[Uuid],
    claims: &[i64],
    next: &NextInLine<'_>,
) -> Result<CompletedAndClaimed, sqlx::Error> {
    sqlx::query_as(sql::COMPLETE_AND_CLAIM)
        .bind(runner)
        .bind(ids)
        .bind(claims)
        .bind(next.claim)
        .bind(next.name_keys)
        .bind(next.pausing)
        .fetch_one(connection)
        .await
}

/// The answer to a failure.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Failed {
    /// Includes the dead.
    pub(crate) failed: Vec<Uuid>,
    pub(crate) dead: Vec<Uuid>,
}

pub(crate) async fn fail(
    connection: &mut PgConnection,
    runner: Uuid,
    ids: &[Uuid],
    claims: &[i64],
    errors: &[String],
    locked: Locked,
) -> Result<Failed, sqlx::Error> {
    sqlx::query_as(sql::FAIL)
        .bind(runner)
        .bind(ids)
        .bind(claims)
        .bind(errors)
        .bind(locked == Locked::Wait)
        .fetch_one(connection)
        .await
}

/// What is to come after each failure.
#[derive(Debug)]
pub(crate) struct FailAs {
    pub(crate) deadly: Vec<bool>,
    pub(crate) waits: Vec<Option<Duration>>,
    pub(crate) linear: Vec<bool>,
}

pub(crate) async fn fail_as(
    connection: &mut PgConnection,
    runner: Uuid,
    ids: &[Uuid],
    claims: &[i64],
    errors: &[String],
    told: &FailAs,
    locked: Locked,
) -> Result<Failed, sqlx::Error> {
    let waits: Vec<Option<i64>> = told.waits.iter().map(|wait| wait.map(micros)).collect();
    sqlx::query_as(sql::FAIL_AS)
        .bind(runner)
        .bind(ids)
        .bind(claims)
        .bind(errors)
        .bind(&told.deadly)
        .bind(waits)
        .bind(&told.linear)
        .bind(locked == Locked::Wait)
        .fetch_one(connection)
        .await
}

pub(crate) async fn release(
    connection: &mut PgConnection,
    runner: Uuid,
    ids: &[Uuid],
    claims: &[i64],
    delay: Duration,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(sql::RELEASE)
        .bind(runner)
        .bind(ids)
        .bind(claims)
        .bind(micros(delay))
        .fetch_one(connection)
        .await
}

/// What a checkpoint changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewCheckpoint<'a> {
    pub(crate) payload_json: Option<&'a str>,
    pub(crate) payload_bytes: Option<&'a [u8]>,
    pub(crate) extra_retries: i32,
    pub(crate) keep_alive: Option<Duration>,
}

/// The answer to a checkpoint.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Checkpointed {
    pub(crate) done: bool,
    pub(crate) xid: Option<String>,
}

pub(crate) async fn checkpoint(
    connection: &mut PgConnection,
    runner: Uuid,
    id: Uuid,
    claim: i64,
    checkpoint: &NewCheckpoint<'_>,
) -> Result<Checkpointed, sqlx::Error> {
    sqlx::query_as(sql::CHECKPOINT)
        .bind(runner)
        .bind(id)
        .bind(claim)
        .bind(checkpoint.payload_json)
        .bind(checkpoint.payload_bytes)
        .bind(checkpoint.extra_retries)
        .bind(checkpoint.keep_alive.map(micros))
        .fetch_one(connection)
        .await
}

pub(crate) async fn keep_alive(
    connection: &mut PgConnection,
    runner: Uuid,
    id: Uuid,
    claim: i64,
    duration: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::KEEP_ALIVE)
        .bind(runner)
        .bind(id)
        .bind(claim)
        .bind(micros(duration))
        .fetch_one(connection)
        .await
}

/// Makes the statements of this transaction that meet a lock fail soon.
pub(crate) async fn wait_briefly(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql::WAIT_BRIEFLY).execute(connection).await?;
    Ok(())
}
