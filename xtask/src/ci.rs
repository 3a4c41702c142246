//! `cargo xtask ci`: everything that must hold before a commit is pushed. The same here and on the server.

use crate::{api, chaos, deny, examples, mistakes, readme, report::Report, schema, shell};
use anyhow::{Context, Result, bail};
use std::{env, fs, path::PathBuf, process::Command};

/// README's second command.
const TEST_COMMAND: &str = "test --workspace";
/// What is published, and so must build from its package alone.
const PACKAGE: &str = "package --workspace --exclude devpg --exclude example-app --exclude examples --exclude faults --exclude other_crate --exclude protocol-model --exclude xtask";

/// Each is built alone; without any, the facade is built by every other step.
const FEATURES: [&str; 5] = [
    "jiff",
    "time",
    "testing",
    "runtime-tokio-rustls",
    "runtime-tokio-native-tls",
];

/// What reads or stores what others wrote, with any input. The default number of cases is part of the tests.
const FUZZ: &str = "test --package sqlxmq_macros --package sqlxmq_core -- fuzz:: any_job any_text reads_as_a_state within_the_bounds";
/// A million jobs in one transaction, and the largest payload there can be.
const SLOW_TESTS: &str = "test --package sqlxmq_core --test it bad_input::many -- --ignored --test-threads 1";

/// Run all checks
#[derive(clap::Args)]
pub struct Arguments {
    /// Only fmt, clippy and tests: before each commit.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also what needs more tools: cargo-deny, cargo-nextest, a nightly and the oldest supported toolchain.
    #[arg(long)]
    full: bool,
    /// Leave something out; `.ci/run` has run the tests by then.
    #[arg(long, value_enum)]
    skip: Vec<Skip>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Skip {
    Tests,
    Examples,
    Package,
    Chaos,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::default();
    let wants = |skip| !arguments.skip.contains(&skip);
    report.command("fmt", &mut shell::cargo("fmt --all -- --check"));
    report.command(
        "clippy",
        &mut shell::cargo("clippy --workspace --all-targets -- -D warnings"),
    );
    if wants(Skip::Tests) {
        report.command("tests and doctests", &mut shell::cargo(TEST_COMMAND));
    }
    if !arguments.quick {
        report.command("documentation", cargo_doc().env("RUSTDOCFLAGS", "-D warnings"));
        report.step("readme", readme::check);
        report.step("readme: links", || {
            readme::check_links(&shell::target_dir().join("doc"))
        });
        report.step("readme: commands", commands_are_ours);
        report.step("schema", schema::check);
        report.step("public interface", || {
            api::check()?;
            api::check_pages(&shell::target_dir().join("doc"))
        });
        if wants(Skip::Examples) {
            examples::steps(&mut report)?;
        }
        if wants(Skip::Package) {
            report.step("package", || {
                forget_unpacked()?;
                crate::report::run_visibly(&mut package())
            });
        }
        if wants(Skip::Chaos) {
            chaos::steps(&mut report);
        }
    }
    if arguments.full {
        full(&mut report);
    }
    report.finish()
}

/// The steps that need tools which not everybody has.
fn full(report: &mut Report) {
    deny::steps(report);
    report.command(
        "fuzzing for longer",
        shell::cargo(FUZZ).env("PROPTEST_CASES", "5000"),
    );
    report.command("slow tests", &mut shell::cargo(SLOW_TESTS));
    report.step("mistakes", mistakes::check);
    report.command("nextest", &mut shell::cargo("nextest run --workspace"));
    report.step("oldest toolchain", || {
        let manifest = fs::read_to_string(shell::root().join("Cargo.toml"))?;
        let version = manifest
            .split("rust-version = \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let version = version.context("Cargo.toml has no rust-version")?;
        let mut check = shell::cargo_of(version, "check --package sqlxmq");
        crate::report::run_visibly(check.env("CARGO_TARGET_DIR", shell::target_dir().join("oldest")))
    });
    for feature in FEATURES {
        let mut check = shell::cargo("check --package sqlxmq --no-default-features --features");
        report.command(&format!("feature {feature} alone"), check.arg(feature));
    }
    // No other step has these features.
    report.command(
        "times of other crates",
        &mut shell::cargo("test --package sqlxmq_core --lib --features jiff,time spawn::time"),
    );
    // As docs.rs builds it.
    let mut docs = shell::cargo_of(
        "nightly",
        "doc --no-deps --package sqlxmq --features jiff,time,testing,runtime-tokio-rustls",
    );
    docs.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings");
    report.command(
        "documentation as on docs.rs",
        docs.env("CARGO_TARGET_DIR", shell::target_dir().join("nightly")),
    );
}

fn cargo_doc() -> Command {
    shell::cargo("doc --workspace --no-deps --exclude xtask --exclude examples --exclude example-app")
}

/// Packages are verified in our target folder: in the one that cargo would choose, each would build all of its
/// dependencies again.
fn package() -> Command {
    let mut package = shell::cargo(PACKAGE);
    package.env("CARGO_TARGET_DIR", shell::target_dir());
    if !is_clean() {
        // In CI the tree is clean, and cargo looks whether what it packs is committed.
        package.arg("--allow-dirty");
    }
    package
}

/// Removes our packages from where cargo unpacked them the last time: it knows them by folder and version, and would verify
/// the next one against what they were then.
fn forget_unpacked() -> Result<()> {
    let home = env::var_os("CARGO_HOME").map_or_else(
        || env::home_dir().map(|home| home.join(".cargo")),
        |home| Some(PathBuf::from(home)),
    );
    let unpacked = home.context("there is no home directory")?.join("registry/src");
    let Ok(registries) = fs::read_dir(unpacked) else {
        return Ok(());
    };
    for registry in registries {
        let registry = registry?;
        // A registry on the network has its host in front of the dash.
        if !registry.file_name().to_string_lossy().starts_with('-') {
            continue;
        }
        for package in fs::read_dir(registry.path())? {
            let package = package?;
            if package.file_name().to_string_lossy().starts_with("sqlxmq") {
                fs::remove_dir_all(package.path())?;
            }
        }
    }
    Ok(())
}

fn is_clean() -> bool {
    let status = shell::stdout_of(&mut shell::program("git", &["status", "--porcelain"]));
    status.is_ok_and(|changes| changes.is_empty())
}

/// README's two commands are the ones that CI runs.
fn commands_are_ours() -> Result<()> {
    let readme = fs::read_to_string(shell::root().join("README.md")).context("failed to read README.md")?;
    for command in [
        format!("cargo {TEST_COMMAND}\n"),
        "cargo run --example quickstart\n".to_owned(),
    ] {
        if !readme.contains(&command) {
            bail!("README.md does not have the command `{}`", command.trim());
        }
    }
    Ok(())
}
