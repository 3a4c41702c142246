//! `cargo xtask migrate`: the queue's migrations into a database, or into an application's own folder.

mod check;
mod database;
mod sync;
#[cfg(test)]
mod tests;

use crate::shell;
use anyhow::{Context, Result, bail};
use std::{env, path::PathBuf};

/// Apply the migrations to DATABASE_URL, or write them into an application's migrations folder
#[derive(clap::Args)]
pub struct Arguments {
    /// Write the migrations into DIR, with timestamp versions, instead of applying them.
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    sync: Option<PathBuf>,
    /// Change nothing; list what is missing or changed in DIR, or without DIR in DATABASE_URL.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    check: Option<Option<PathBuf>>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    shell::block_on(async {
        match (&arguments.sync, &arguments.check) {
            (Some(folder), _) => sync::sync(folder).await,
            (None, Some(Some(folder))) => report(check::folder(folder).await?),
            (None, Some(None)) => report(check::database(&database_url()?).await?),
            (None, None) => database::apply(&database_url()?).await,
        }
    })
}

fn database_url() -> Result<String> {
    env::var("DATABASE_URL").context("set DATABASE_URL to the database of the queue")
}

/// Turns a list of complaints into the exit status.
fn report(complaints: Vec<String>) -> Result<()> {
    if complaints.is_empty() {
        println!("nothing is missing or changed");
        return Ok(());
    }
    bail!("{}", complaints.join("\n"));
}
