//! The completer: stores outcomes, many in one statement. Declarations only.
//!
//! While one flush is on its way, the next gathers. An outcome is repeated under its token until the database has answered or
//! the lease is over, so a broken connection costs time and not a job.

mod batch;
mod completer;
mod completions;
mod flush;
mod order;
mod resolve;
mod single;
mod transact;
mod wire;

pub(crate) use completer::Completer;
pub(crate) use order::{AsTold, Asker, Order, OwnedCheckpoint, Reply, Resolution, Ticket, What};
