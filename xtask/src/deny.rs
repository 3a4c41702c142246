//! `cargo xtask deny`, which is part of `cargo xtask ci --full`: licences, bans and sources from what is on the machine, advisories from
//! the network or else from the copy that it left there the last time.

use crate::{report, report::Report, shell};
use anyhow::{Result, bail};
use std::{env, fs, path::PathBuf, process::Command};

/// Check the dependencies with cargo-deny: licences, bans, sources, advisories
#[derive(clap::Args)]
pub struct Arguments;

pub fn run(_: &Arguments) -> Result<()> {
    let mut report = Report::default();
    steps(&mut report);
    report.finish()
}

/// What is allowed is in `deny.toml`.
pub fn steps(report: &mut Report) {
    report.step("cargo-deny: licences, bans, sources", || {
        is_installed()?;
        // What `cargo build` has downloaded is enough.
        report::run_visibly(&mut deny("--offline --all-features check licenses bans sources"))
    });
    report.step("cargo-deny: advisories, where there is a copy", advisories);
}

fn is_installed() -> Result<()> {
    if shell::stdout_of(&mut deny("--version")).is_err() {
        bail!("cargo-deny is missing: cargo install cargo-deny --locked");
    }
    Ok(())
}

fn advisories() -> Result<()> {
    is_installed()?;
    let offline = match shell::stdout_of(&mut deny("fetch db")) {
        Ok(_) => "",
        Err(_) if has_copy() => {
            println!("the advisory database can't be fetched: the copy on this machine is used");
            "--offline "
        }
        Err(error) => {
            println!(
                "not checked: there is no copy of the advisory database, and it can't be fetched\n{error:#}"
            );
            return Ok(());
        }
    };
    report::run_visibly(&mut deny(&format!("{offline}--all-features check advisories")))
}

/// Whether cargo-deny has fetched the database before, or somebody has put a clone there.
fn has_copy() -> bool {
    let Some(home) = cargo_home() else { return false };
    let Ok(copies) = fs::read_dir(home.join("advisory-dbs")) else {
        return false;
    };
    copies.flatten().any(|copy| copy.path().join("crates").is_dir())
}

fn cargo_home() -> Option<PathBuf> {
    let default = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default)
}

fn deny(words: &str) -> Command {
    shell::cargo(&format!("deny {words}"))
}
