//! Why a job's function could not be given its payload.

use super::BoxError;

/// Why a job's function could not be given its payload. Except for [`PayloadError::TooNew`], the job is dead at once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The function takes a `Json<T>`, and the job has no JSON payload.
    #[error("the job has no JSON payload, and its function takes one")]
    NoJson,
    /// The function takes `Bytes`, and the job has no binary payload.
    #[error("the job has no binary payload, and its function takes one")]
    NoBytes,
    /// The JSON is not of the function's type. Has the type changed since the job was spawned? Then it needs a new version:
    /// `#[job(version = 2, upgrade = from_v1)]`.
    #[error("the payload is no `{type_name}`")]
    Decode {
        /// The type.
        type_name: &'static str,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A function given as `upgrade` failed.
    #[error("failed to upgrade the payload from version {version}")]
    Upgrade {
        /// The version it was to be upgraded from.
        version: u32,
        /// What the function said.
        source: BoxError,
    },
    /// The payload is of a version that no function given as `upgrade` takes any more.
    #[error(
        "version {version} of the payload is no longer upgraded: `#[job(upgrade(..))]` begins with version {oldest}"
    )]
    TooOld {
        /// The version of the payload.
        version: u32,
        /// The oldest version that is upgraded.
        oldest: u32,
    },
    /// The payload is of a version that this program does not know yet. The job is given back, no attempt used.
    #[error("version {version} of the payload is newer than this program, which knows {known}")]
    TooNew {
        /// The version of the payload.
        version: u32,
        /// The version of the job in this program.
        known: u32,
    },
}

impl PayloadError {
    /// Returns whether a program that is newer may do better: [`PayloadError::TooNew`].
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::TooNew { .. })
    }
}
