//! Bad input, line by line: a typed error before anything is harmed, or it comes back equal. Declarations only.
//!
//! What must not happen: that a caller's transaction is lost for a mistake that Rust could have seen, or that another job
//! pays for it.

mod any_job;
mod calls;
mod collisions;
mod given;
mod handlers;
mod jobs;
mod many;
mod sessions;
mod sql_callers;
