//! The job that is being run, as its function sees it: declarations only.

mod checkpoint;
mod current;
mod end;
mod failure;
mod from_job;
mod outcome;
mod payload;
mod transaction;
mod version;

pub use checkpoint::Checkpoint;
pub use current::CurrentJob;
pub use end::{JobEnd, Verdict};
pub use failure::{JobError, Permanent, permanent};
pub use from_job::{ContextNeeds, FromJob, JobInput};
pub use outcome::Outcome;
pub use payload::{Bytes, Json, decode};
pub use version::{Version, versioned};
