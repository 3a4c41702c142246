//! Queue SQL and runner of sqlxmq. Use it through the `sqlxmq` crate.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod backoff;
mod compact;
pub mod config;
mod error;
mod job;
mod migrate;
mod owned_handle;
mod registry;
mod runner;
mod spawn;
mod sql;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use admin::{
    AttemptError, ChannelCount, DeadJob, JobState, cancel, clear, clear_all, compact, counts, dead_jobs,
    discard, exists, job_errors, requeue,
};
pub use compact::{CompactedTable, Compaction};
pub use error::{
    AdminError, BoxError, CommitError, CompactError, InvalidJob, JobField, MigrateError, PayloadError,
    RegistryError, SpawnError, UnknownJobError, UnknownJobState, should_retry,
};
#[doc(hidden)]
pub use inventory;
pub use job::{
    Bytes, Checkpoint, ContextNeeds, CurrentJob, FromJob, JobEnd, JobError, JobInput, JobTx, Json,
    LayerResult, LendToJob, Next, Outcome, Permanent, permanent,
};
#[doc(hidden)]
pub use job::{Verdict, Version, decode, versioned};
pub use migrate::migrate;
#[doc(hidden)]
pub use migrate::{migrate_with, migrator};
pub use owned_handle::OwnedHandle;
#[doc(hidden)]
pub use registry::{BuildFn, ContextNeed, JobFuture, Policy, RegisteredJob, RunFn};
pub use registry::{ErrorHandler, Job, JobRegistry, NamedJob, registry};
pub use runner::{
    CheckpointError, CompleteError, Health, JobDropped, JobLeaseLost, JobPanicked, JobRetries,
    JobRunnerHandle, JobRunnerOptions, JobTimedOut, JobUndelivered, KeepAliveError, LeaseTooLong, RunError,
    RunnerEnded,
};
pub use spawn::{JobBuilder, NewJob, SpawnTime, SpawnWith, Spawner, Untyped, commit, spawn_all};
