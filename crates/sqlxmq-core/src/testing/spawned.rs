//! What is in the queue, read with the type of its payload.

use std::fmt;

use serde::de::DeserializeOwned;
use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::job::{Bytes, Json};
use crate::registry::{Job, NamedJob};
use crate::sql::testing as sql;

/// A job that is in the queue.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[non_exhaustive]
pub struct Spawned {
    /// The id of the job.
    pub id: Uuid,
    /// The name it is stored under.
    pub name: String,
    /// The name of its channel.
    pub channel_name: String,
    /// The arguments of its channel.
    pub channel_args: String,
    /// Its JSON payload, as text.
    pub payload_json: Option<String>,
    /// Its binary payload.
    pub payload_bytes: Option<Vec<u8>>,
}

/// A job whose payload can be read back by a test.
pub trait SpawnedJob {
    /// What a pattern of [`assert_spawned!`](crate::assert_spawned) sees: the `T` of `Json<T>`, the bytes of `Bytes`, a pair of
    /// both. Of a job without a typed payload: its JSON, if it has any.
    type Payload;

    /// Whether the job is stored under that name.
    fn is_stored_as(&self, name: &str) -> bool;

    /// The payload, or `None` if it is of another type.
    fn payload(&self, spawned: &Spawned) -> Option<Self::Payload>;
}

impl SpawnedJob for NamedJob {
    type Payload = Option<serde_json::Value>;

    fn is_stored_as(&self, name: &str) -> bool {
        self.stored_names().any(|stored| stored == name)
    }

    fn payload(&self, spawned: &Spawned) -> Option<Self::Payload> {
        spawned
            .payload_json
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .ok()
    }
}

impl<T: DeserializeOwned> SpawnedJob for Job<Json<T>> {
    type Payload = T;

    fn is_stored_as(&self, name: &str) -> bool {
        (**self).is_stored_as(name)
    }

    fn payload(&self, spawned: &Spawned) -> Option<T> {
        serde_json::from_str(spawned.payload_json.as_deref()?).ok()
    }
}

impl SpawnedJob for Job<Bytes> {
    type Payload = Vec<u8>;

    fn is_stored_as(&self, name: &str) -> bool {
        (**self).is_stored_as(name)
    }

    fn payload(&self, spawned: &Spawned) -> Option<Vec<u8>> {
        spawned.payload_bytes.clone()
    }
}

impl<T: DeserializeOwned> SpawnedJob for Job<(Json<T>, Bytes)> {
    type Payload = (T, Vec<u8>);

    fn is_stored_as(&self, name: &str) -> bool {
        (**self).is_stored_as(name)
    }

    fn payload(&self, spawned: &Spawned) -> Option<(T, Vec<u8>)> {
        let json = serde_json::from_str(spawned.payload_json.as_deref()?).ok()?;
        Some((json, spawned.payload_bytes.clone()?))
    }
}

/// Returns what is in the queue, by when it was spawned: jobs in every state, dead ones too. Completed ones are gone.
///
/// Given a transaction, it sees what that has spawned.
///
/// # Panics
///
/// Panics if the statement fails.
pub async fn spawned<'c, E: Executor<'c, Database = Postgres>>(executor: E) -> Vec<Spawned> {
    sqlx::query_as(sql::SPAWNED)
        .fetch_all(executor)
        .await
        .unwrap_or_else(|error| panic!("failed to look at the queue: {error}"))
}

impl fmt::Display for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            self.name,
            self.payload_json.as_deref().unwrap_or("(no JSON)")
        )?;
        if let Some(bytes) = &self.payload_bytes {
            write!(f, " and {} bytes", bytes.len())?;
        }
        write!(f, " in channel {:?} {:?}", self.channel_name, self.channel_args)
    }
}
