//! Why a runner did not start, and why one has ended.

use std::time::Duration;

use crate::error::RegistryError;
use crate::error::classify::is_transient;

/// Why a runner did not start.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The limits allow nothing to run, or contradict each other.
    #[error("concurrency ({min}, {max}) is impossible: it takes 1 <= min <= max")]
    Concurrency {
        /// The minimum asked for.
        min: usize,
        /// The maximum asked for.
        max: usize,
    },
    /// A duration is below what works.
    #[error("`{option}` is {given:?}: it must be at least {at_least:?}")]
    TooShort {
        /// The setter.
        option: &'static str,
        /// What was given.
        given: Duration,
        /// The least that is accepted.
        at_least: Duration,
    },
    /// A duration is above what a clock can count to.
    #[error("`{option}` is {given:?}: it must be at most {at_most:?}")]
    TooLong {
        /// The setter.
        option: &'static str,
        /// What was given.
        given: Duration,
        /// The most that is accepted.
        at_most: Duration,
    },
    /// A claim of no bytes would claim nothing.
    #[error("`set_max_claim_bytes` is 0: it must be at least 1")]
    NoBytes,
    /// The list of channel names is empty, so nothing could ever run.
    #[error("`set_channel_names` was given no names: leave it out to run the jobs of all channels")]
    NoChannels,
    /// A channel name holds a NUL character, so no job can be in that channel.
    #[error("`set_channel_names` was given {name:?}, which holds a NUL character")]
    ChannelNameNul {
        /// The channel name.
        name: String,
    },
    /// The URL given to `set_direct_url` can't be read.
    #[error("`set_direct_url` was given something that is not a PostgreSQL URL")]
    DirectUrl {
        /// What is wrong with it.
        source: sqlx::Error,
    },
    /// The registry can't be run as it is.
    #[error("the job registry can't be run")]
    Registry {
        /// What is wrong with it.
        #[from]
        source: RegistryError,
    },
    /// The database has no queue in it, or the search path does not lead there.
    #[error("the queue's schema is missing: run `sqlxmq::migrate(&pool)` or `cargo xtask migrate`")]
    SchemaMissing,
    /// A connection of the runner's own could not be opened.
    #[error("failed to open the runner's connection for `{role}`")]
    Connect {
        /// What it was for.
        role: &'static str,
        /// Why not.
        source: sqlx::Error,
    },
    /// A statement failed while the runner started.
    #[error("failed to {doing} while the runner started")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The thread that renews leases could not be started.
    #[error("failed to start the thread that renews leases")]
    Thread {
        /// Why not.
        source: std::io::Error,
    },
}

crate::error::readable::debug_is_readable!(RunError);

impl RunError {
    /// Returns whether trying again may help: not where rights, the password or the database are missing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            RunError::Connect { source, .. } | RunError::Store { source, .. } => is_transient(source),
            RunError::Thread { .. } => true,
            _ => false,
        }
    }
}

/// Why a runner has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerEnded {
    /// It was told to stop, or its handle was dropped.
    #[error("the runner was stopped")]
    Stopped,
    /// A part of it panicked again and again. This is a bug in sqlxmq.
    #[error("the runner's `{part}` panicked too often: {message}")]
    Panicked {
        /// Which part.
        part: &'static str,
        /// The last panic's message.
        message: String,
    },
    /// The async runtime it ran on was shut down.
    #[error("the runtime of the runner was shut down")]
    RuntimeGone,
}
