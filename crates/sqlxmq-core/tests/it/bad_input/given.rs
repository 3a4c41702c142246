//! A job as a test gave it, and whether the queue gives it back the same.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{PgPool, Row};
use sqlxmq_core::{JobBuilder, commit, config};
use uuid::Uuid;

use crate::support::ByHand;

/// Everything a builder can be told, owned.
#[derive(Debug, Clone)]
pub struct Given {
    pub id: Uuid,
    pub name: String,
    pub channel_name: String,
    pub channel_args: String,
    pub ordered: bool,
    pub retries: u32,
    pub retry_backoff: Duration,
    pub max_backoff: Duration,
    pub delay: Duration,
    pub commit_interval: Option<Duration>,
    pub json: Option<String>,
    pub bytes: Option<Vec<u8>>,
    pub payload_limit: usize,
}

impl Given {
    /// A job that nobody could object to.
    pub fn plain() -> Self {
        Self {
            id: Uuid::now_v7(),
            name: "given".to_owned(),
            channel_name: String::new(),
            channel_args: String::new(),
            ordered: false,
            retries: config::DEFAULT_RETRIES,
            retry_backoff: config::DEFAULT_RETRY_BACKOFF,
            max_backoff: config::DEFAULT_MAX_BACKOFF,
            delay: Duration::ZERO,
            commit_interval: None,
            json: None,
            bytes: None,
            payload_limit: config::DEFAULT_PAYLOAD_LIMIT,
        }
    }

    /// A job that was plain before the change.
    pub fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut given = Self::plain();
        change(&mut given);
        given
    }

    pub fn builder(&self) -> JobBuilder<'_> {
        let mut builder = JobBuilder::new_with_id(self.id, &self.name);
        builder
            .set_channel_name(&self.channel_name)
            .set_channel_args(&self.channel_args)
            .set_ordered(self.ordered)
            .set_retries(self.retries)
            .set_retry_backoff(self.retry_backoff)
            .set_max_backoff(self.max_backoff)
            .set_delay(self.delay)
            .set_commit_interval(self.commit_interval)
            .set_payload_limit(self.payload_limit);
        if let Some(json) = &self.json {
            builder.set_raw_json(json);
        }
        if let Some(bytes) = &self.bytes {
            builder.set_raw_bytes(bytes);
        }
        builder
    }
}

/// Microseconds, rounded up, as the builder counts.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000)).expect("a duration in bounds")
}

/// Looks at what was stored of a job that waits.
pub async fn is_stored_as_given(pool: &PgPool, given: &Given) -> Result<(), String> {
    let row = sqlx::query(
        "select j.ordered, j.max_attempts,
           (extract(epoch from coalesce(j.backoff, mq_usual_backoff())) * 1000000)::bigint as backoff,
           (extract(epoch from coalesce(j.max_backoff, mq_usual_max_backoff())) * 1000000)::bigint as max_backoff,
           (extract(epoch from greatest(s.due_at, h.due_at, j.spawned_at) - j.spawned_at) * 1000000)::bigint as delay,
           (extract(epoch from h.expires_at - j.spawned_at) * 1000000)::bigint as commit_interval
         from mq_jobs as j
         left join mq_scheduled as s on s.id = j.id
         left join mq_held as h on h.id = j.id
         where j.id = $1",
    )
    .bind(given.id)
    .fetch_optional(pool)
    .await
    .map_err(|error| error.to_string())?
    .ok_or("the job is not there")?;
    let seen = (
        row.get::<bool, _>("ordered"),
        row.get::<i32, _>("max_attempts"),
        row.get::<i64, _>("backoff"),
        row.get::<i64, _>("max_backoff"),
        row.get::<i64, _>("delay"),
        row.get::<Option<i64>, _>("commit_interval"),
    );
    let expected = (
        given.ordered,
        given.retries.cast_signed() + 1,
        micros(given.retry_backoff),
        micros(given.max_backoff),
        micros(given.delay),
        given.commit_interval.map(micros),
    );
    match seen == expected {
        true => Ok(()),
        false => Err(format!("stored as {seen:?}, not as {expected:?}")),
    }
}

/// Lets time pass: commits what is held, makes due what is delayed, runs everything to its end. Compares what comes
/// back with what was given, and returns the ids in the order in which they came.
pub async fn comes_back(
    pool: &PgPool,
    runner: &mut ByHand,
    given: &[impl std::borrow::Borrow<Given>],
) -> Result<Vec<Uuid>, String> {
    let text = |error: sqlx::Error| error.to_string();
    for job in given {
        is_stored_as_given(pool, job.borrow()).await?;
    }
    let held: Vec<Uuid> = sqlx::query_scalar(
        "update mq_held set expires_at = clock_timestamp() + interval '1 hour', due_at = clock_timestamp() returning id",
    )
    .fetch_all(pool)
    .await
    .map_err(text)?;
    commit(pool, &held).await.map_err(|error| error.to_string())?;
    sqlx::query("update mq_scheduled set due_at = clock_timestamp()")
        .execute(pool)
        .await
        .map_err(text)?;
    let mut seen = Vec::new();
    loop {
        sqlx::query("select * from mq_promote(1000)")
            .execute(pool)
            .await
            .map_err(text)?;
        let (ids, claim) = runner.claim().await;
        if ids.is_empty() {
            break;
        }
        let rows = sqlx::query("select * from mq_payloads($1)")
            .bind(&ids)
            .fetch_all(pool)
            .await
            .map_err(text)?;
        for row in rows {
            let id: Uuid = row.get("id");
            let Some(job) = given.iter().map(|job| job.borrow()).find(|job| job.id == id) else {
                continue;
            };
            let is_equal = row.get::<&str, _>("name") == job.name
                && row.get::<&str, _>("channel_name") == job.channel_name
                && row.get::<&str, _>("channel_args") == job.channel_args
                && row.get::<i32, _>("max_attempts").unsigned_abs() == job.retries + 1
                && row.get::<Option<&str>, _>("payload_json") == job.json.as_deref()
                && row.get::<Option<&[u8]>, _>("payload_bytes") == job.bytes.as_deref();
            if !is_equal {
                return Err(format!("job {id} came back as another"));
            }
        }
        for id in ids {
            if !runner.complete(id, claim).await {
                return Err(format!("the claim of {id} was lost"));
            }
            seen.push(id);
        }
    }
    let once: HashSet<Uuid> = seen.iter().copied().collect();
    let left: i64 = sqlx::query_scalar("select count(*) from mq_jobs")
        .fetch_one(pool)
        .await
        .map_err(text)?;
    match once.len() == seen.len() && left == 0 {
        true => Ok(seen),
        false => Err(format!("{seen:?} came back, and {left} jobs did not")),
    }
}
