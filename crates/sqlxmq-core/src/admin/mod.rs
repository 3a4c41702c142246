//! Looking at the queue, and removing or reviving jobs: declarations only.

mod compact;
mod counts;
mod dead;
mod remove;

pub use compact::compact;
pub use counts::{ChannelCount, JobState, counts};
pub use dead::{AttemptError, DeadJob, dead_jobs, discard, job_errors, requeue};
pub use remove::{cancel, clear, clear_all, exists};
