//! How a case is measured. Each function starts from an empty database and returns figures, or `None` if the queue has not got it.

mod churn;
mod drain;
mod idle;
mod latency;
mod spawn;

pub use churn::{Churn, big_beside_small, churn, under_load};
pub use drain::{Drain, drain, drain_after};
pub use idle::idle;
pub use latency::latency;
pub use spawn::{Spawn, spawn};

use super::{case::Bench, child::Child, site::Database};
use anyhow::Result;

/// `--name value` for a command line.
fn option(name: &str, value: impl ToString) -> [String; 2] {
    [format!("--{name}"), value.to_string()]
}

/// An empty database with the queue in it.
fn installed<'a>(bench: &Bench<'a>) -> Result<Database<'a>> {
    let database = bench.site.database()?;
    Child::perform(bench, &database, "install")?;
    Ok(database)
}
