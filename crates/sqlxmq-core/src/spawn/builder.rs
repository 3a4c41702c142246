//! The builder of jobs. It keeps what it is given; [`spawn`](JobBuilder::spawn) checks it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::SpawnTime;
use super::batch::spawn_all;
use super::executor::SpawnWith;
use super::new_job::{Json, NewJob};
use crate::error::SpawnError;

/// Builds a job and spawns it.
///
/// Setters keep what they are given. What is out of bounds is reported by [`JobBuilder::spawn`] before it
/// uses the connection; the bounds are in [`config`](crate::config).
///
/// Texts are kept by reference, and setters return `&mut Self`. To keep a builder, bind it before its setters are called; whatever it is
/// given by reference has to live as long:
///
/// ```
/// # use sqlxmq_core::JobBuilder;
/// # let account = 7;
/// // Not `let job = JobBuilder::new("book").set_retries(3)`: E0716, "temporary value dropped while borrowed".
/// let mut job = JobBuilder::new("book");
/// let args = format!("account {account}");
/// job.set_retries(3).set_channel_args(&args);
///
/// // A function that returns one is given what it keeps, or it is E0515, "cannot return value referencing local variable".
/// fn booking(args: &str) -> JobBuilder<'_> {
///     let mut job = JobBuilder::new("book");
///     job.set_channel_args(args);
///     job
/// }
/// ```
///
/// A clone is the same job, with the same id: only one of the two can be spawned, the other is a
/// [`SpawnError::DuplicateId`]. That serves to try a spawn again; for another job like this one give it a new id with
/// [`set_id`](JobBuilder::set_id), or share what builders have in common with [`set_proto`](JobBuilder::set_proto).
///
/// `P` is the type of the payload if the job's function has it as an argument. Such a builder was given the payload when it was
/// made, and has no setters for it.
#[must_use = "a builder stores nothing: `.spawn(&pool).await?` does"]
pub struct JobBuilder<'a, P = Untyped> {
    job: NewJob<'a>,
    payload: PhantomData<fn(P)>,
}

/// The payload of a builder that takes any.
#[derive(Debug)]
pub enum Untyped {}

impl<'a> JobBuilder<'a> {
    /// Returns a builder of a job with the given name and a new id (a UUID of version 7).
    pub fn new(name: &'a str) -> Self {
        Self::new_with_id(Uuid::now_v7(), name)
    }

    /// Returns a builder of a job with the given id and name.
    ///
    /// There is at most one job of an id at a time. Ids that grow with time (version 7) are the cheapest to store.
    pub fn new_with_id(id: Uuid, name: &'a str) -> Self {
        Self {
            job: NewJob::new(id, name),
            payload: PhantomData,
        }
    }

    /// Sets the JSON payload to a text, which comes back byte for byte.
    pub fn set_raw_json(&mut self, raw_json: &'a str) -> &mut Self {
        self.job.json = Some(Json::Raw(raw_json));
        self
    }

    /// Sets the binary payload. A job may have a JSON payload too.
    pub fn set_raw_bytes(&mut self, raw_bytes: &'a [u8]) -> &mut Self {
        self.job.bytes = Some(raw_bytes);
        self
    }

    /// Sets the JSON payload to a value.
    ///
    /// # Errors
    ///
    /// Returns the error of the value's `Serialize`; the builder is left as it was.
    pub fn set_json<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<&mut Self, serde_json::Error> {
        self.job.json = Some(Json::Encoded(serde_json::to_string(value)?));
        Ok(self)
    }

    /// With a payload that is reported by `spawn` if it can't be encoded.
    pub(crate) fn with_json<T: Serialize>(mut self, value: &T) -> Self {
        self.job.json = Some(match serde_json::to_string(value) {
            Ok(text) => Json::Encoded(text),
            Err(error) => Json::Refused(Arc::new(error)),
        });
        self
    }

    pub(crate) fn with_bytes(mut self, bytes: &'a [u8]) -> Self {
        self.job.bytes = Some(bytes);
        self
    }

    /// The builder of a job whose payload is settled.
    pub(crate) fn typed<P>(self) -> JobBuilder<'a, P> {
        JobBuilder {
            job: self.job,
            payload: PhantomData,
        }
    }
}

impl<'a, P> JobBuilder<'a, P> {
    /// Sets any number of options at once with the given function.
    pub fn set_proto<'b>(&'b mut self, proto: impl FnOnce(&'b mut Self) -> &'b mut Self) -> &'b mut Self {
        proto(self)
    }

    /// Sets the id. A builder is of one job: to spawn another like it, give it a new id.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(pool: &sqlx::PgPool) -> Result<(), sqlxmq_core::SpawnError> {
    /// let mut builder = sqlxmq_core::JobBuilder::new("mail");
    /// builder.spawn(pool).await?;
    /// builder.set_id(uuid::Uuid::now_v7()).spawn(pool).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_id(&mut self, id: Uuid) -> &mut Self {
        self.job.id = id;
        self
    }

    /// Sets the channel name. Default: `""`.
    pub fn set_channel_name(&mut self, channel_name: &'a str) -> &mut Self {
        self.job.channel_name = channel_name;
        self
    }

    /// Sets the channel arguments, which usually hold a key. Default: `""`.
    pub fn set_channel_args(&mut self, channel_args: &'a str) -> &mut Self {
        self.job.channel_args = channel_args;
        self
    }

    /// Sets how many times the job is tried again after its first attempt failed. Default: 4.
    pub fn set_retries(&mut self, retries: u32) -> &mut Self {
        self.job.retries = retries;
        self
    }

    /// Sets the wait before the first retry, which doubles with each further one. Default: 1 s.
    ///
    /// Each wait is up to a tenth longer by chance, so that jobs that failed together are not tried again together.
    /// Durations count in microseconds; a part of one is rounded up.
    pub fn set_retry_backoff(&mut self, retry_backoff: Duration) -> &mut Self {
        self.job.retry_backoff = retry_backoff;
        self
    }

    /// Sets the longest wait between two attempts, to which chance still adds up to a tenth. Default: 1 h. It never cuts
    /// the wait before the first retry: with a maximum of zero, all waits are as long as that one.
    pub fn set_max_backoff(&mut self, max_backoff: Duration) -> &mut Self {
        self.job.max_backoff = max_backoff;
        self
    }

    /// Sets the time within which [`commit`](crate::commit) must be called, or the job is removed. Default: `None`,
    /// which means that the job needs no commit.
    pub fn set_commit_interval(&mut self, commit_interval: Option<Duration>) -> &mut Self {
        self.job.commit_interval = commit_interval;
        self
    }

    /// Sets whether the job is strictly ordered with the other ordered jobs of its channel. Default: `false`.
    pub fn set_ordered(&mut self, ordered: bool) -> &mut Self {
        self.job.ordered = ordered;
        self
    }

    /// Sets the time before the job becomes ready. Default: none.
    pub fn set_delay(&mut self, delay: Duration) -> &mut Self {
        self.job.delay = delay;
        self.job.due = None;
        self
    }

    /// Sets the time at which the job becomes ready, in place of a delay. A time that is past means at once. Default: none.
    ///
    /// It is compared with the database's clock, so the caller's need not be right.
    pub fn set_time(&mut self, time: impl Into<SpawnTime>) -> &mut Self {
        self.job.due = Some(time.into());
        self
    }

    /// Sets how many bytes the payload may have, JSON and binary together. Default: 1 MiB; at most 256 MiB.
    ///
    /// A runner that claims jobs is bounded in bytes too: large payloads make for small batches.
    pub fn set_payload_limit(&mut self, bytes: usize) -> &mut Self {
        self.job.payload_limit = bytes;
        self
    }

    /// Stores the job with a pool, a connection or a transaction, and returns its id.
    ///
    /// With a transaction, the job exists if and only if the transaction is committed.
    ///
    /// # Errors
    ///
    /// Returns [`SpawnError::Invalid`] if a value is out of bounds, and [`SpawnError::DuplicateId`] if there is a job
    /// with the id; both leave the caller's transaction usable.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: outside of a transaction, the job may or may not have been stored. Call again with the same
    /// builder, and take [`SpawnError::DuplicateId`] for success. A job that was stored and has ended by then is stored again,
    /// and runs again: where it must not, spawn it in a transaction that also notes what it is for.
    pub async fn spawn<'b, E: SpawnWith<'b>>(&self, executor: E) -> Result<Uuid, SpawnError> {
        spawn_all(executor, std::slice::from_ref(&self.job)).await?;
        Ok(self.job.id)
    }

    /// Stores the job as [`spawn`](Self::spawn) does, to become ready at `time`: see [`set_time`](Self::set_time).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::{Duration, SystemTime};
    /// # async fn example(pool: &sqlx::PgPool) -> Result<(), sqlxmq_core::SpawnError> {
    /// # let builder = sqlxmq_core::JobBuilder::new("mail");
    /// let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    /// builder.spawn_at(in_an_hour, pool).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn spawn_at<'b, E: SpawnWith<'b>>(
        &self,
        time: impl Into<SpawnTime>,
        executor: E,
    ) -> Result<Uuid, SpawnError> {
        let mut job = self.job.clone();
        job.due = Some(time.into());
        spawn_all(executor, std::slice::from_ref(&job)).await?;
        Ok(job.id)
    }
}

/// Whatever `P` is: a payload need not be `Clone`.
impl<P> Clone for JobBuilder<'_, P> {
    fn clone(&self) -> Self {
        Self {
            job: self.job.clone(),
            payload: PhantomData,
        }
    }
}

impl<'a, P> AsRef<NewJob<'a>> for JobBuilder<'a, P> {
    fn as_ref(&self) -> &NewJob<'a> {
        &self.job
    }
}

/// Shows the length of the payload only: payloads hold what must not be logged.
impl<P> fmt::Debug for JobBuilder<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobBuilder").field(&self.job).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_payloads() {
        let mut builder = JobBuilder::new("mail");
        builder.set_raw_bytes(b"sesame").set_json("sesame").unwrap();
        let shown = format!("{builder:?} {:#?}", builder.as_ref());
        assert!(
            !shown.contains("sesame") && !shown.contains("115, 101"),
            "{shown}"
        );
        assert!(
            shown.contains("json_bytes: Some(8)") && shown.contains("binary_bytes: Some(6)"),
            "{shown}"
        );
    }

    #[test]
    fn ids_are_of_version_7_and_grow() {
        let ids: Vec<Uuid> = (0..100).map(|_| JobBuilder::new("mail").as_ref().id()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_prototype_can_be_shared_by_builders_of_any_lifetime() {
        fn proto<'a, 'b>(builder: &'a mut JobBuilder<'b>) -> &'a mut JobBuilder<'b> {
            builder.set_channel_name("bar").set_ordered(true)
        }
        let name = String::from("mail");
        let mut builder = JobBuilder::new(&name);
        builder.set_proto(proto).set_channel_args(&name);
        assert_eq!(builder.as_ref().channel_name(), "bar");
        assert_eq!(builder.as_ref().channel_args(), "mail");
        let as_macros_see_it: for<'a> fn(&'a mut JobBuilder<'static>) -> &'a mut JobBuilder<'static> =
            |builder| builder.set_proto(proto).set_retries(1);
        as_macros_see_it(&mut JobBuilder::new("static"));
    }

    #[test]
    fn an_error_of_serialize_leaves_the_builder_as_it_was() {
        let mut builder = JobBuilder::new("mail");
        builder.set_json(&1).unwrap();
        let not_a_text_key: std::collections::BTreeMap<Vec<u8>, u8> = [(vec![1], 1)].into();
        assert!(builder.set_json(&not_a_text_key).is_err());
        assert!(format!("{builder:?}").contains("json_bytes: Some(1)"));
    }
}
