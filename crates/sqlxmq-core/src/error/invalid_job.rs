//! What can be wrong with a job before it is stored.

use std::fmt;
use std::time::Duration;

/// A field of a job, as error messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobField {
    /// The name.
    Name,
    /// The channel name.
    ChannelName,
    /// The channel arguments.
    ChannelArgs,
    /// The delay before the first attempt.
    Delay,
    /// The wait before the first retry.
    RetryBackoff,
    /// The longest wait between two attempts.
    MaxBackoff,
    /// The time within which the job must be committed.
    CommitInterval,
}

impl fmt::Display for JobField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::ChannelName => "channel name",
            Self::ChannelArgs => "channel arguments",
            Self::Delay => "delay",
            Self::RetryBackoff => "retry backoff",
            Self::MaxBackoff => "maximum backoff",
            Self::CommitInterval => "commit interval",
        })
    }
}

/// What is wrong with a job. Trying again cannot help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJob {
    /// The id is nil.
    #[error("the id is nil")]
    NilId,
    /// The name is empty.
    #[error("the name is empty")]
    EmptyName,
    /// A text is too long.
    #[error("the {field} has {bytes} bytes, the limit is {limit}")]
    TextTooLong {
        /// Which text.
        field: JobField,
        /// The bytes it has.
        bytes: usize,
        /// The bytes it may have.
        limit: usize,
    },
    /// A text holds a NUL character, which PostgreSQL cannot store.
    #[error("the {field} holds a NUL character")]
    Nul {
        /// Which text.
        field: JobField,
    },
    /// There are more retries than allowed.
    #[error("{retries} retries are above the limit of {limit}")]
    TooManyRetries {
        /// The retries asked for.
        retries: u32,
        /// The retries allowed: [`MAX_RETRIES`](crate::config::MAX_RETRIES).
        limit: u32,
    },
    /// A duration is longer than allowed.
    #[error("the {field} of {duration:?} is above the limit of {limit:?}")]
    DurationTooLong {
        /// Which duration.
        field: JobField,
        /// The duration asked for.
        duration: Duration,
        /// The duration allowed: [`MAX_DURATION`](crate::config::MAX_DURATION).
        limit: Duration,
    },
    /// The raw JSON is not JSON.
    #[error("the payload is not valid JSON")]
    Json {
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// The typed payload can't be turned into JSON.
    #[error("the payload cannot be encoded as JSON")]
    Encode {
        /// What its `Serialize` said.
        source: std::sync::Arc<serde_json::Error>,
    },
    /// The payload is larger than the builder allows.
    #[error("the payload has {bytes} bytes, the limit is {limit}")]
    PayloadTooLarge {
        /// The bytes of JSON and binary payload together.
        bytes: usize,
        /// The limit set by [`JobBuilder::set_payload_limit`](crate::JobBuilder::set_payload_limit), or for a checkpoint
        /// [`MAX_PAYLOAD_BYTES`](crate::config::MAX_PAYLOAD_BYTES).
        limit: usize,
    },
    /// The builder's payload limit is above what a job may have at all.
    #[error("the payload limit of {limit} bytes is above {max}")]
    PayloadLimitTooLarge {
        /// The limit asked for, in bytes.
        limit: usize,
        /// The highest limit: [`MAX_PAYLOAD_BYTES`](crate::config::MAX_PAYLOAD_BYTES).
        max: usize,
    },
}
