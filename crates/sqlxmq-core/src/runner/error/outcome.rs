//! Why an outcome of a running job was refused.

use std::time::Duration;

use uuid::Uuid;

use crate::config::MAX_DURATION;
use crate::error::InvalidJob;
use crate::error::classify::is_transient;

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
    /// The job has a [`JobTx`](crate::JobTx), and is completed with it when its function has returned Ok. A transaction that was handed
    /// over has been rolled back. Trying again can't help.
    #[error("job {id} is completed with its `JobTx`, when its function has returned")]
    InJobTx {
        /// The job.
        id: Uuid,
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
    /// The lease is longer than any clock can count. Nothing was sent.
    #[error("the checkpoint's lease is too long")]
    TooLong {
        /// What was given and what is allowed.
        #[from]
        source: LeaseTooLong,
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
    /// The lease is longer than any clock can count. Nothing was sent, and the job's lease is as it was.
    #[error("the lease for job {id} is too long")]
    TooLong {
        /// The job.
        id: Uuid,
        /// What was given and what is allowed.
        source: LeaseTooLong,
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

/// A lease of a job's own that is longer than allowed. Trying again can't help; one of [`MAX_DURATION`] never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is above the limit of {at_most:?}")]
#[non_exhaustive]
pub struct LeaseTooLong {
    /// What was given.
    pub given: Duration,
    /// The most that is accepted: [`MAX_DURATION`].
    pub at_most: Duration,
}

impl LeaseTooLong {
    /// Refuses what PostgreSQL could not add to its clock: the statement would fail, and with it a caller's transaction.
    pub(crate) fn check(given: Duration) -> Result<(), Self> {
        match given > MAX_DURATION {
            true => Err(Self {
                given,
                at_most: MAX_DURATION,
            }),
            false => Ok(()),
        }
    }
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
            Self::LeaseLost { .. }
            | Self::AlreadyCompleted { .. }
            | Self::OutcomeUnknown { .. }
            | Self::InJobTx { .. } => false,
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
            | Self::TooLong { .. }
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
