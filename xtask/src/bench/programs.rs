//! The programs that are measured, and how they are built: each workspace of `bench/` in a target folder of its own.

use crate::shell;
use anyhow::{Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum System {
    /// This repository.
    Sqlxmq,
    /// Tables and transactions without a queue.
    Plain,
    Pgmq,
    GraphileWorker,
    #[value(name = "sqlxmq-0.6")]
    Sqlxmq06,
    River,
    Apalis,
    Awa,
}

/// Ours first: the peers are measured beside it.
pub const PEERS: [System; 6] = [
    System::Pgmq,
    System::GraphileWorker,
    System::Sqlxmq06,
    System::River,
    System::Apalis,
    System::Awa,
];

impl System {
    /// The name of its package, and the workspace that it is in.
    fn package(self) -> (&'static str, &'static str) {
        match self {
            System::Sqlxmq => ("bench_sqlxmq", "bench"),
            System::Plain => ("bench_plain", "bench"),
            System::Pgmq => ("bench_pgmq", "bench/old"),
            System::GraphileWorker => ("bench_graphile_worker", "bench"),
            System::Sqlxmq06 => ("bench_sqlxmq_0_6", "bench/old"),
            System::River => ("bench_river", "bench"),
            System::Apalis => ("bench_apalis", "bench"),
            System::Awa => ("bench_awa", "bench/old"),
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            System::Sqlxmq => "sqlxmq",
            System::Plain => "no queue",
            System::Pgmq => "pgmq",
            System::GraphileWorker => "graphile_worker",
            System::Sqlxmq06 => "sqlxmq 0.6.0",
            System::River => "River",
            System::Apalis => "apalis-postgres",
            System::Awa => "awa",
        })
    }
}

/// Where they are.
pub struct Programs(BTreeMap<System, PathBuf>);

impl Programs {
    pub fn of(&self, system: System) -> &Path {
        &self.0[&system]
    }
}

pub fn build(systems: &[System]) -> Result<Programs> {
    let mut programs = BTreeMap::new();
    let workspaces: BTreeSet<&str> = systems.iter().map(|system| system.package().1).collect();
    for workspace in workspaces {
        let target = shell::target_dir().join(workspace);
        let mut build = shell::cargo("build --release --manifest-path");
        build.arg(shell::root().join(workspace).join("Cargo.toml"));
        for (system, package) in packages(systems, workspace) {
            build.args(["--package", package]);
            programs.insert(system, target.join("release").join(package));
        }
        if !build.env("CARGO_TARGET_DIR", &target).status()?.success() {
            bail!("the programs in {workspace} do not build");
        }
    }
    Ok(Programs(programs))
}

fn packages<'a>(
    systems: &'a [System],
    workspace: &'a str,
) -> impl Iterator<Item = (System, &'static str)> + 'a {
    systems
        .iter()
        .map(|&system| (system, system.package()))
        .filter(move |(_, (_, its))| *its == workspace)
        .map(|(system, (package, _))| (system, package))
}
