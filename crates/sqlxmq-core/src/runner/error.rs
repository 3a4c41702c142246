//! The errors of running jobs: why a runner did not start or has ended, why an outcome was refused, what an error handler
//! gets to see besides the errors of the jobs themselves.

use std::time::Duration;

use uuid::Uuid;

use crate::error::classify::is_transient;
use crate::error::{InvalidJob, RegistryError};

/// Why a runner did not start.
#[derive(Debug, thiserror::Error)]
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
    /// A duration or size is below what works.
    #[error("`{option}` is {given:?}: it must be at least {at_least:?}")]
    TooShort {
        /// The setter.
        option: &'static str,
        /// What was given.
        given: Duration,
        /// The least that is accepted.
        at_least: Duration,
    },
    /// A claim of no bytes would claim nothing.
    #[error("`set_max_claim_bytes` is 0: it must be at least 1")]
    NoBytes,
    /// The list of channel names is empty, so nothing could ever run.
    #[error("`set_channel_names` was given no names: leave it out to run the jobs of all channels")]
    NoChannels,
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

impl RunError {
    /// Returns whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            RunError::Connect { .. } | RunError::Store { .. } | RunError::Thread { .. }
        )
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

/// Why a job was not completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompleteError {
    /// This attempt is over: its lease ended, it was cancelled, cleared or given back, or its function returned an error.
    ///
    /// A transaction that was handed over has been rolled back. Trying again can't help.
    #[error("the lease on job {id} is lost")]
    LeaseLost {
        /// The job.
        id: Uuid,
    },
    /// This attempt has completed its job before.
    #[error("job {id} was completed already")]
    AlreadyCompleted {
        /// The job.
        id: Uuid,
    },
    /// The connection broke while the commit was on its way, and the database could not tell later what became of it.
    #[error("it is unknown whether the completion of job {id} was committed")]
    OutcomeUnknown {
        /// The job.
        id: Uuid,
        /// How the connection broke.
        source: Option<sqlx::Error>,
    },
    /// A statement failed. The job is not completed, and a transaction that was handed over has been rolled back.
    #[error("failed to complete job {id}")]
    Store {
        /// The job.
        id: Uuid,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The commit failed. The job is not completed, and the transaction has been rolled back.
    #[error("failed to commit the completion of job {id}")]
    Commit {
        /// The job.
        id: Uuid,
        /// What the database said.
        source: sqlx::Error,
    },
}

/// Why a job was not check-pointed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// This attempt is over, as in [`CompleteError::LeaseLost`].
    #[error("the lease on job {id} is lost")]
    LeaseLost {
        /// The job.
        id: Uuid,
    },
    /// This attempt has completed its job before.
    #[error("job {id} was completed already")]
    AlreadyCompleted {
        /// The job.
        id: Uuid,
    },
    /// The payload is out of bounds. Nothing was sent; a transaction that was handed over is rolled back.
    #[error("the checkpoint cannot be stored")]
    Invalid {
        /// What is wrong with it.
        source: InvalidJob,
    },
    /// More extra retries than the schema can count.
    #[error("{given} extra retries are more than the {most} allowed")]
    TooManyRetries {
        /// What was given.
        given: usize,
        /// The most that is accepted.
        most: usize,
    },
    /// The connection broke while the commit was on its way, and the database could not tell later what became of it.
    #[error("it is unknown whether the checkpoint of job {id} was committed")]
    OutcomeUnknown {
        /// The job.
        id: Uuid,
        /// How the connection broke.
        source: Option<sqlx::Error>,
    },
    /// A statement failed. Nothing was stored, and a transaction that was handed over has been rolled back.
    #[error("failed to checkpoint job {id}")]
    Store {
        /// The job.
        id: Uuid,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The commit failed. Nothing was stored, and the transaction has been rolled back.
    #[error("failed to commit the checkpoint of job {id}")]
    Commit {
        /// The job.
        id: Uuid,
        /// What the database said.
        source: sqlx::Error,
    },
}

/// Why a job's own lease was not extended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepAliveError {
    /// This attempt is over, as in [`CompleteError::LeaseLost`].
    #[error("the lease on job {id} is lost")]
    LeaseLost {
        /// The job.
        id: Uuid,
    },
    /// This attempt has completed its job before.
    #[error("job {id} was completed already")]
    AlreadyCompleted {
        /// The job.
        id: Uuid,
    },
    /// The statement failed. It may have been carried out all the same.
    #[error("failed to keep job {id} alive")]
    Store {
        /// The job.
        id: Uuid,
        /// What the database said.
        source: sqlx::Error,
    },
}

/// Why an outcome was refused, before it is known who asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    LeaseLost,
    AlreadyCompleted,
    OutcomeUnknown(Option<sqlx::Error>),
    Store(sqlx::Error),
    Commit(sqlx::Error),
}

impl CompleteError {
    pub(crate) fn new(id: Uuid, refusal: Refusal) -> Self {
        match refusal {
            Refusal::LeaseLost => Self::LeaseLost { id },
            Refusal::AlreadyCompleted => Self::AlreadyCompleted { id },
            Refusal::OutcomeUnknown(source) => Self::OutcomeUnknown { id, source },
            Refusal::Store(source) => Self::Store { id, source },
            Refusal::Commit(source) => Self::Commit { id, source },
        }
    }

    /// Returns whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } | Self::Commit { source, .. } => is_transient(source),
            Self::LeaseLost { .. } | Self::AlreadyCompleted { .. } | Self::OutcomeUnknown { .. } => false,
        }
    }
}

impl CheckpointError {
    pub(crate) fn new(id: Uuid, refusal: Refusal) -> Self {
        match refusal {
            Refusal::LeaseLost => Self::LeaseLost { id },
            Refusal::AlreadyCompleted => Self::AlreadyCompleted { id },
            Refusal::OutcomeUnknown(source) => Self::OutcomeUnknown { id, source },
            Refusal::Store(source) => Self::Store { id, source },
            Refusal::Commit(source) => Self::Commit { id, source },
        }
    }

    /// Returns whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } | Self::Commit { source, .. } => is_transient(source),
            Self::LeaseLost { .. }
            | Self::AlreadyCompleted { .. }
            | Self::Invalid { .. }
            | Self::TooManyRetries { .. }
            | Self::OutcomeUnknown { .. } => false,
        }
    }
}

impl KeepAliveError {
    pub(crate) fn new(id: Uuid, refusal: Refusal) -> Self {
        match refusal {
            Refusal::LeaseLost => Self::LeaseLost { id },
            Refusal::AlreadyCompleted => Self::AlreadyCompleted { id },
            Refusal::OutcomeUnknown(source) => Self::Store {
                id,
                source: source.unwrap_or(sqlx::Error::WorkerCrashed),
            },
            Refusal::Store(source) | Refusal::Commit(source) => Self::Store { id, source },
        }
    }

    /// Returns whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store { source, .. } if is_transient(source))
    }
}

/// Whether the connection can't be used any more, or leads to a server that can't be used.
pub(crate) fn is_disconnect(error: &sqlx::Error) -> bool {
    match error {
        // 57P01 to 57P03: shutting down, crashed, starting up. 25006: read only, which after a failover means the wrong server.
        sqlx::Error::Database(answer) => answer.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25006")
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}

/// A job panicked: what its error handler sees, and what is recorded for the attempt.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the job panicked: {message}")]
pub struct JobPanicked {
    /// The panic's message.
    pub message: String,
}

/// A job was dropped without being completed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the job was dropped without being completed")]
pub struct JobDropped;

/// A job lost its lease while it ran: another attempt may be running already.
#[derive(Debug, Clone, thiserror::Error)]
#[error("job {id} lost its lease in attempt {attempt}")]
pub struct JobLeaseLost {
    /// The job.
    pub id: Uuid,
    /// Which attempt, counted from 1.
    pub attempt: u32,
}

/// The error with its causes, as recorded for an attempt: at most 8 KiB, without NUL (which PostgreSQL can't store).
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Many errors repeat their source in their own text.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        // A source that leads back to itself must not keep us here.
        if text.len() > MAX_ERROR_BYTES {
            break;
        }
        cause = inner.source();
    }
    bounded(text)
}

/// What the schema accepts as the text of an error.
const MAX_ERROR_BYTES: usize = 8192;

pub(crate) fn bounded(mut text: String) -> String {
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    if text.len() > MAX_ERROR_BYTES {
        const MORE: &str = " […]";
        let mut end = MAX_ERROR_BYTES - MORE.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not charge the card")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the bank said no")]
    struct Inner;

    #[test]
    fn an_error_is_described_with_its_causes() {
        assert_eq!(
            describe(&Outer(Inner)),
            "could not charge the card: the bank said no"
        );
    }

    #[test]
    fn a_long_error_is_cut_at_a_character() {
        let text = bounded("ä".repeat(10_000));
        assert!(text.len() <= MAX_ERROR_BYTES && text.ends_with(" […]"));
    }

    #[test]
    fn nul_characters_are_replaced() {
        assert_eq!(bounded("a\0b".to_owned()), "a\u{fffd}b");
    }
}
