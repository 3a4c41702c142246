//! The job that is being run, as its function sees it.

/// A job that is being run.
#[derive(Debug)]
#[non_exhaustive]
pub struct CurrentJob {}
