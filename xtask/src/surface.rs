//! `cargo xtask surface`: the program that uses the whole surface of sqlxmq 0.6.0, run against the published 0.6.0.
//!
//! That it also runs against this repository is one of the facade's tests. The published crate is built in a folder of its own, because
//! its sqlx can't share a lock file with ours.

use crate::{report, report::Report, shell};
use anyhow::{Result, bail};

/// Where the package that depends on 0.6.0 is.
pub const OLD: &str = "crates/sqlxmq/tests/surface/old";

/// Run the program that uses 0.6.0's whole surface against the published 0.6.0
#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<()> {
    let manifest = shell::root().join(OLD).join("Cargo.toml");
    if !manifest.exists() {
        bail!("there is no package in {OLD}");
    }
    let server = devpg::DevPg::start()?;
    let mut report = Report::default();
    report.step("0.6.0", || {
        let mut old = shell::cargo("run --quiet --manifest-path");
        old.arg(&manifest).env("DATABASE_URL", server.url("postgres"));
        report::run_visibly(old.env("CARGO_TARGET_DIR", shell::target_dir().join("surface-old")))
    });
    report.finish()
}
