//! A job with a typed payload: its builder takes the payload.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Serialize;
use uuid::Uuid;

use super::NamedJob;
use crate::job::{Bytes, Json};
use crate::spawn::JobBuilder;

/// A job whose function has the payload as an argument: `P` is [`Json<T>`](Json), [`Bytes`], or a pair of both.
///
/// `#[job]` turns such a function into a static of this type. It is a [`NamedJob`] otherwise, and goes wherever one does:
/// `JobRegistry::new(&[typed, untyped])`.
///
/// # Examples
///
/// ```no_run
/// # async fn example(address: String, send_email: &'static sqlxmq_core::Job<sqlxmq_core::Json<String>>, pool: &sqlx::PgPool) -> Result<(), sqlxmq_core::SpawnError> {
/// // #[job] async fn send_email(Json(address): Json<String>) -> ..
/// send_email.builder(&address).set_retries(7).spawn(pool).await?;
/// # Ok(())
/// # }
/// ```
pub struct Job<P> {
    named: NamedJob,
    payload: PhantomData<fn(P)>,
}

impl<P> Job<P> {
    /// Returns a typed job; called by the code that `#[job]` generates.
    #[doc(hidden)]
    pub const fn new_internal(named: NamedJob) -> Self {
        Self {
            named,
            payload: PhantomData,
        }
    }

    /// Returns the job without the type of its payload, where a static or a constant needs it.
    pub const fn named(&'static self) -> &'static NamedJob {
        &self.named
    }
}

impl<T> Job<Json<T>> {
    /// Returns a builder with this payload, the name and the defaults of this job, and a new id.
    ///
    /// A payload that can't be turned into JSON is reported by the builder's `spawn`.
    pub fn builder(&self, payload: &T) -> JobBuilder<'static, Json<T>>
    where
        T: Serialize,
    {
        self.builder_with_id(Uuid::now_v7(), payload)
    }

    /// Returns a builder with this payload, the name and the defaults of this job, and the given id.
    pub fn builder_with_id(&self, id: Uuid, payload: &T) -> JobBuilder<'static, Json<T>>
    where
        T: Serialize,
    {
        self.named.builder_with_id(id).with_json(payload).typed()
    }
}

impl Job<Bytes> {
    /// Returns a builder with this payload, the name and the defaults of this job, and a new id.
    pub fn builder<'a>(&self, payload: &'a [u8]) -> JobBuilder<'a, Bytes> {
        self.builder_with_id(Uuid::now_v7(), payload)
    }

    /// Returns a builder with this payload, the name and the defaults of this job, and the given id.
    pub fn builder_with_id<'a>(&self, id: Uuid, payload: &'a [u8]) -> JobBuilder<'a, Bytes> {
        let builder: JobBuilder<'a> = self.named.builder_with_id(id);
        builder.with_bytes(payload).typed()
    }
}

impl<T> Job<(Json<T>, Bytes)> {
    /// Returns a builder with these payloads, the name and the defaults of this job, and a new id.
    ///
    /// A payload that can't be turned into JSON is reported by the builder's `spawn`.
    pub fn builder<'a>(&self, json: &T, bytes: &'a [u8]) -> JobBuilder<'a, (Json<T>, Bytes)>
    where
        T: Serialize,
    {
        self.builder_with_id(Uuid::now_v7(), json, bytes)
    }

    /// Returns a builder with these payloads, the name and the defaults of this job, and the given id.
    pub fn builder_with_id<'a>(&self, id: Uuid, json: &T, bytes: &'a [u8]) -> JobBuilder<'a, (Json<T>, Bytes)>
    where
        T: Serialize,
    {
        let builder: JobBuilder<'a> = self.named.builder_with_id(id);
        builder.with_json(json).with_bytes(bytes).typed()
    }
}

impl<P> Deref for Job<P> {
    type Target = NamedJob;

    fn deref(&self) -> &NamedJob {
        &self.named
    }
}

impl<P> fmt::Debug for Job<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.named, f)
    }
}
