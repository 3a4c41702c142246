//! Claims, and what claimed jobs are to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use super::micros;
use super::texts::Texts;
use crate::sql::runner as sql;

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

/// What claimed jobs are to do, if it is little.
#[derive(Default, sqlx::FromRow)]
pub(super) struct PayloadColumns {
    /// Whose they are, if not the jobs' in their order. There may be others among them.
    #[sqlx(default)]
    work_ids: Option<Vec<Uuid>>,
    names: Option<Texts>,
    channel_names: Option<Texts>,
    channel_args: Option<Texts>,
    payloads_json: Option<Vec<Option<String>>>,
    payloads_bytes: Option<Vec<Option<Vec<u8>>>>,
    max_attempts: Option<Vec<i32>>,
}

impl PayloadColumns {
    /// Of all these jobs, in their order, or of none.
    pub(super) fn take(&mut self, ids: &[Uuid]) -> Vec<Payload> {
        let (Some(names), Some(channel_names), Some(channel_args)) = (
            self.names.take(),
            self.channel_names.take(),
            self.channel_args.take(),
        ) else {
            return Vec::new();
        };
        let (Some(json), Some(bytes), Some(max_attempts)) = (
            self.payloads_json.take(),
            self.payloads_bytes.take(),
            self.max_attempts.take(),
        ) else {
            return Vec::new();
        };
        let texts = names.into_iter().zip(channel_names).zip(channel_args);
        let payloads = json.into_iter().zip(bytes).zip(max_attempts);
        let order = self.work_ids.take().filter(|work_ids| work_ids != ids);
        let mut all: Vec<Payload> = order
            .as_deref()
            .unwrap_or(ids)
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
            .collect();
        if order.is_some() {
            let places: HashMap<&Uuid, usize> = ids.iter().zip(0..).collect();
            all.retain(|payload| places.contains_key(&payload.id));
            all.sort_by_cached_key(|payload| places.get(&payload.id).copied());
        }
        all
    }
}

impl Claimed {
    /// The payloads that came with the claim: of all its jobs, or of none.
    pub(crate) fn take_payloads(&mut self) -> Vec<Payload> {
        self.payloads.take(&self.ids)
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
pub(crate) struct Payload {
    pub(crate) id: Uuid,
    pub(crate) name: Arc<str>,
    pub(crate) channel_name: Arc<str>,
    pub(crate) channel_args: Arc<str>,
    pub(crate) payload_json: Option<String>,
    pub(crate) payload_bytes: Option<Vec<u8>>,
    pub(crate) max_attempts: i32,
}

/// By position: of many rows of seven columns each, looking for the names of the columns would be a good part of the work.
impl FromRow<'_, PgRow> for Payload {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            name: Arc::from(row.try_get::<&str, _>(1)?),
            channel_name: Arc::from(row.try_get::<&str, _>(2)?),
            channel_args: Arc::from(row.try_get::<&str, _>(3)?),
            payload_json: row.try_get(4)?,
            payload_bytes: row.try_get(5)?,
            max_attempts: row.try_get(6)?,
        })
    }
}

/// Those of these jobs that exist.
pub(crate) async fn present(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(sql::PRESENT)
        .bind(ids)
        .fetch_one(connection)
        .await
}

/// Row by row, so that a job can start while the payloads of the next are on their way.
pub(crate) fn payloads<'c>(
    connection: &'c mut PgConnection,
    ids: &'c [Uuid],
) -> BoxStream<'c, Result<Payload, sqlx::Error>> {
    sqlx::query_as(sql::PAYLOADS).bind(ids).fetch(connection)
}
