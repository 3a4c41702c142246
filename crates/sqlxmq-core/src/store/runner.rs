//! Typed wrappers of the runner's functions: one async fn per SQL function, no decisions.

use std::time::Duration;

use futures_util::stream::BoxStream;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::sql::runner as sql;

/// Microseconds, rounded up, as every duration travels.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX)
}

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

/// The arguments of a claim.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) runner: Uuid,
    pub(crate) claim: i64,
    pub(crate) max_jobs: usize,
    pub(crate) max_bytes: i64,
    pub(crate) name_keys: Option<&'a [i64]>,
    pub(crate) channel_name_keys: Option<&'a [i64]>,
    pub(crate) after_channel: i64,
    pub(crate) sweep: bool,
    pub(crate) own_lease: Option<Duration>,
    pub(crate) asleep: bool,
}

/// The answer to a claim.
#[derive(sqlx::FromRow)]
pub(crate) struct Claimed {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) attempts: Vec<i32>,
    /// By channel only.
    #[sqlx(default)]
    pub(crate) after_channel: Option<i64>,
    pub(crate) more: bool,
    pub(crate) expired: bool,
    /// Nothing was claimed, and the schedule has something.
    pub(crate) due: Option<bool>,
    #[sqlx(flatten)]
    payloads: PayloadColumns,
}

/// What the claimed jobs are to do, if it is little.
#[derive(sqlx::FromRow)]
struct PayloadColumns {
    names: Option<Vec<String>>,
    channel_names: Option<Vec<String>>,
    channel_args: Option<Vec<String>>,
    payloads_json: Option<Vec<Option<String>>>,
    payloads_bytes: Option<Vec<Option<Vec<u8>>>>,
    max_attempts: Option<Vec<i32>>,
}

impl Claimed {
    /// The payloads that came with the claim: of all its jobs, or of none.
    pub(crate) fn take_payloads(&mut self) -> Vec<Payload> {
        let columns = &mut self.payloads;
        let (Some(names), Some(channel_names), Some(channel_args)) = (
            columns.names.take(),
            columns.channel_names.take(),
            columns.channel_args.take(),
        ) else {
            return Vec::new();
        };
        let (Some(json), Some(bytes), Some(max_attempts)) = (
            columns.payloads_json.take(),
            columns.payloads_bytes.take(),
            columns.max_attempts.take(),
        ) else {
            return Vec::new();
        };
        let texts = names.into_iter().zip(channel_names).zip(channel_args);
        let payloads = json.into_iter().zip(bytes).zip(max_attempts);
        self.ids
            .iter()
            .zip(texts.zip(payloads))
            .map(
                |(
                    id,
                    (((name, channel_name), channel_args), ((payload_json, payload_bytes), max_attempts)),
                )| Payload {
                    id: *id,
                    name,
                    channel_name,
                    channel_args,
                    payload_json,
                    payload_bytes,
                    max_attempts,
                },
            )
            .collect()
    }
}

/// More than anybody runs at a time, and small enough to be counted with.
const MAX_JOBS: i32 = 1_000_000;

pub(crate) async fn claim(connection: &mut PgConnection, claim: &Claim<'_>) -> Result<Claimed, sqlx::Error> {
    let max_jobs = i32::try_from(claim.max_jobs).unwrap_or(MAX_JOBS).min(MAX_JOBS);
    let statement = match claim.channel_name_keys {
        None => sql::CLAIM_BY_NAME,
        Some(_) => sql::CLAIM_BY_CHANNEL,
    };
    let query = sqlx::query_as(statement)
        .bind(claim.runner)
        .bind(claim.claim)
        .bind(max_jobs)
        .bind(claim.max_bytes)
        .bind(claim.name_keys);
    let query = match claim.channel_name_keys {
        None => query.bind(claim.sweep),
        Some(keys) => query.bind(keys).bind(claim.after_channel),
    };
    query
        .bind(claim.own_lease.map(micros))
        .bind(claim.asleep)
        .fetch_one(connection)
        .await
}

/// What a claimed job is to do.
#[derive(sqlx::FromRow)]
pub(crate) struct Payload {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) channel_name: String,
    pub(crate) channel_args: String,
    pub(crate) payload_json: Option<String>,
    pub(crate) payload_bytes: Option<Vec<u8>>,
    pub(crate) max_attempts: i32,
}

/// Row by row, so that a job can start while the payloads of the next are on their way.
pub(crate) fn payloads<'c>(
    connection: &'c mut PgConnection,
    ids: &'c [Uuid],
) -> BoxStream<'c, Result<Payload, sqlx::Error>> {
    sqlx::query_as(sql::PAYLOADS).bind(ids).fetch(connection)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_up_to_microseconds_and_saturate() {
        assert_eq!(micros(Duration::ZERO), 0);
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_nanos(1000)), 1);
        assert_eq!(micros(Duration::from_nanos(1001)), 2);
        assert_eq!(micros(Duration::MAX), i64::MAX);
    }
}
