//! `cargo xtask api`: what the published crate offers, in one file that is compared with the sources.
//!
//! A change of the interface is a change of `docs/api.txt`, which somebody reads: see docs/semver.md.

mod listing;
mod render;
mod tree;

use crate::readme::first_difference;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// Where the listing is.
const FILE: &str = "docs/api.txt";

/// List the public interface in docs/api.txt
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if the listing is stale.
    #[arg(long)]
    check: bool,
    /// Compare the items with the pages that `cargo doc` has made.
    #[arg(long)]
    pages: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.pages {
        check_pages(&shell::target_dir().join("doc"))?;
    }
    match arguments.check {
        true => check(),
        false => write(),
    }
}

/// Fails if the listing is stale.
pub fn check() -> Result<()> {
    let present = fs::read_to_string(shell::root().join(FILE)).unwrap_or_default();
    match first_difference(&present, &listing::of_the_facade()?.text()) {
        None => Ok(()),
        Some(difference) => bail!(
            "the public interface has changed: run `cargo xtask api`, and see docs/semver.md\n{FILE}: {difference}"
        ),
    }
}

/// Fails if the listing has not the same items as the pages that `cargo doc` has made: two readers of the same sources.
pub fn check_pages(docs: &Path) -> Result<()> {
    let listed = listing::of_the_facade()?.pages();
    let mut made = BTreeSet::new();
    let docs = docs.join("sqlxmq");
    let written = fs::metadata(docs.join("all.html")).and_then(|page| page.modified());
    let written = written.context("there is no documentation of sqlxmq")?;
    // Pages that the last run has not written are of items that are gone.
    pages(&docs, "", written - Duration::from_secs(60), &mut made)?;
    let (missing, unlisted): (Vec<_>, Vec<_>) = (
        made.difference(&listed).collect(),
        listed.difference(&made).collect(),
    );
    if !missing.is_empty() || !unlisted.is_empty() {
        bail!(
            "`cargo xtask api` does not list what `cargo doc` shows: {missing:?}; or the other way round: {unlisted:?}"
        );
    }
    Ok(())
}

/// The pages of items, by path below the crate's folder.
fn pages(folder: &Path, below: &str, since: SystemTime, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A crate that generated code needs: its re-export is hidden, and has pages all the same.
        if name == "inventory" {
            continue;
        }
        if entry.path().is_dir() {
            pages(&entry.path(), &format!("{below}{name}/"), since, found)?;
        // A macro has a second page, for its older address.
        } else if name.split('.').count() == 3
            && !name.contains('!')
            && entry.metadata()?.modified()? >= since
        {
            found.insert(format!("{below}{name}"));
        }
    }
    Ok(())
}

fn write() -> Result<()> {
    let text = listing::of_the_facade()?.text();
    fs::write(shell::root().join(FILE), text).with_context(|| format!("failed to write {FILE}"))
}
