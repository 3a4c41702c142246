//! The errors of runners and of running jobs: declarations only.

mod connection;
mod outcome;
mod report;
mod run;

pub(crate) use connection::is_disconnect;
pub(crate) use outcome::Refusal;
pub use outcome::{CheckpointError, CompleteError, KeepAliveError, LeaseTooLong};
pub use report::{JobDropped, JobLeaseLost, JobPanicked, JobRetries, JobTimedOut, JobUndelivered};
pub(crate) use report::{bounded, describe};
pub use run::{RunError, RunnerEnded};
