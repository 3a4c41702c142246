//! What can go wrong, one type per boundary a caller stands at: declarations only.

mod admin;
pub(crate) mod classify;
mod commit;
mod compact;
mod invalid_job;
mod migrate;
mod payload;
pub(crate) mod readable;
mod registry;
pub(crate) mod shared;
mod spawn;

pub use admin::{AdminError, UnknownJobState};
pub use classify::should_retry;
pub use commit::CommitError;
pub use compact::CompactError;
pub use invalid_job::{InvalidJob, JobField};
pub use migrate::MigrateError;
pub use payload::PayloadError;
pub use registry::{RegistryError, UnknownJobError};
pub use spawn::SpawnError;

/// Any error that can cross threads: what the function of a job returns.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
