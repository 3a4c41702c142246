//! A job that is to be spawned, as plain data. It is not checked before it is spawned.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::SpawnTime;
use crate::config::{DEFAULT_MAX_BACKOFF, DEFAULT_PAYLOAD_LIMIT, DEFAULT_RETRIES, DEFAULT_RETRY_BACKOFF};

/// The plain data of a job that is to be spawned.
///
/// Made by a [`JobBuilder`](crate::JobBuilder); [`spawn_all`](crate::spawn_all) takes whatever gives a reference to it.
#[derive(Clone)]
pub struct NewJob<'a> {
    pub(super) id: Uuid,
    pub(super) name: &'a str,
    pub(super) channel_name: &'a str,
    pub(super) channel_args: &'a str,
    pub(super) ordered: bool,
    pub(super) retries: u32,
    pub(super) retry_backoff: Duration,
    pub(super) max_backoff: Duration,
    pub(super) delay: Duration,
    pub(super) due: Option<SpawnTime>,
    pub(super) commit_interval: Option<Duration>,
    pub(super) json: Option<Json<'a>>,
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) payload_limit: usize,
}

/// A JSON payload, and whether it is known to be JSON.
#[derive(Clone)]
pub(super) enum Json<'a> {
    /// Text from the caller, not looked at yet.
    Raw(&'a str),
    /// What serde_json has made of a value.
    Encoded(String),
    /// What serde_json has refused; reported when the job is spawned.
    Refused(Arc<serde_json::Error>),
}

impl Json<'_> {
    pub(super) fn text(&self) -> &str {
        match self {
            Json::Raw(text) => text,
            Json::Encoded(text) => text,
            Json::Refused(_) => "",
        }
    }
}

impl<'a> NewJob<'a> {
    pub(super) fn new(id: Uuid, name: &'a str) -> Self {
        Self {
            id,
            name,
            channel_name: "",
            channel_args: "",
            ordered: false,
            retries: DEFAULT_RETRIES,
            retry_backoff: DEFAULT_RETRY_BACKOFF,
            max_backoff: DEFAULT_MAX_BACKOFF,
            delay: Duration::ZERO,
            due: None,
            commit_interval: None,
            json: None,
            bytes: None,
            payload_limit: DEFAULT_PAYLOAD_LIMIT,
        }
    }

    /// Returns the id the job will have.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the name of the job.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the name of the channel the job will be in.
    pub fn channel_name(&self) -> &'a str {
        self.channel_name
    }

    /// Returns the arguments of the channel the job will be in.
    pub fn channel_args(&self) -> &'a str {
        self.channel_args
    }

    pub(super) fn payload_bytes(&self) -> usize {
        let json = self.json.as_ref().map_or(0, |json| json.text().len());
        json + self.bytes.map_or(0, <[u8]>::len)
    }
}

impl<'a> AsRef<NewJob<'a>> for NewJob<'a> {
    fn as_ref(&self) -> &NewJob<'a> {
        self
    }
}

/// Shows the length of the payload only: payloads hold what must not be logged.
impl fmt::Debug for NewJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("channel_name", &self.channel_name)
            .field("channel_args", &self.channel_args)
            .field("ordered", &self.ordered)
            .field("retries", &self.retries)
            .field("retry_backoff", &self.retry_backoff)
            .field("max_backoff", &self.max_backoff)
            .field("delay", &self.delay)
            .field("due", &self.due)
            .field("commit_interval", &self.commit_interval)
            .field("json_bytes", &self.json.as_ref().map(|json| json.text().len()))
            .field("binary_bytes", &self.bytes.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}
