//! The job that is being run, as its function sees it: declarations only.

mod checkpoint;
mod current;
mod transaction;

pub use checkpoint::Checkpoint;
pub use current::CurrentJob;
