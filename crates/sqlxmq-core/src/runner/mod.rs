//! Claims jobs and runs them: declarations only.
//!
//! ```text
//! listener ──hint──> poller ──claimed batch──> prefetch ──a place──> dispatcher ──> job tasks ──outcomes──> completer
//!                      ^ pace, places                                              │ keeper (own thread) ──lease lost──> cancellation token
//! ```

pub(crate) mod attempt;
mod claim;
mod compact;
pub(crate) mod complete;
pub(crate) mod dispatch;
pub(crate) mod error;
mod fetch;
mod fetch_beside;
mod health;
mod in_a_row;
mod incarnation;
mod lease;
mod listen;
mod maintain;
mod options;
mod pace;
mod panics;
mod place;
mod plan;
mod poll;
mod prefetch;
mod prepare;
mod second;
pub(crate) mod session;
mod settings;
pub(crate) mod shared;
mod shutdown;
mod sleep;
pub(crate) mod slots;
mod supervise;
mod suspicion;
mod undelivered;
mod unstarted;

pub use error::{
    CheckpointError, CompleteError, JobDropped, JobLeaseLost, JobPanicked, JobRetries, JobTimedOut,
    JobUndelivered, KeepAliveError, LeaseTooLong, RunError, RunnerEnded,
};
pub use health::Health;
pub use options::JobRunnerOptions;
pub use shutdown::JobRunnerHandle;
