//! The job that is being run, as its function sees it: declarations only.

mod checkpoint;
mod current;
mod end;
mod failure;
mod from_job;
mod given;
mod job_tx;
mod layer;
mod lend;
mod outcome;
mod payload;
mod transaction;
mod verdict;
mod version;

pub use checkpoint::Checkpoint;
pub use current::CurrentJob;
pub use end::JobEnd;
pub use failure::{JobError, Permanent, permanent};
pub use from_job::{ContextNeeds, FromJob, JobInput};
pub use job_tx::JobTx;
pub(crate) use layer::Layer;
pub use layer::{LayerResult, Next};
pub use lend::LendToJob;
pub use outcome::Outcome;
pub use payload::{Bytes, Json, decode};
pub use verdict::Verdict;
pub use version::{Version, versioned};
