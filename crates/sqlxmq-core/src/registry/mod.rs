//! Which function runs which job: declarations only.

mod check;
mod context;
mod job_registry;
mod linked;
mod named_job;
mod typed_job;

pub(crate) use context::ContextMap;
pub use job_registry::{ErrorHandler, JobRegistry};
pub use linked::{RegisteredJob, registry};
pub use named_job::{BuildFn, ContextNeed, JobFuture, NamedJob, Policy, RunFn};
pub use typed_job::Job;
