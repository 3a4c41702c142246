//! Running other programs, and the paths of this repository.

use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is one level below the root")
}

/// Cargo's target folder, wherever the caller has put it.
pub fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program with the repository's root as its current folder.
pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    command
}

/// The cargo that runs us, on words separated by spaces, without the variables that it set for us: a crate's
/// `rerun-if-env-changed` on one of them would build it anew.
pub fn cargo(words: &str) -> Command {
    let mut command = toolless(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(words.split_whitespace());
    command
}

/// Cargo through rustup, of another toolchain than ours.
pub fn cargo_of(toolchain: &str, words: &str) -> Command {
    let mut command = toolless("cargo");
    command
        .arg(format!("+{toolchain}"))
        .args(words.split_whitespace());
    command
}

fn toolless(name: &str) -> Command {
    let mut command = program(name, &[]);
    for (variable, _) in env::vars_os() {
        let variable = variable.to_string_lossy().into_owned();
        let ours = variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_");
        if ours || ["CARGO", "RUSTUP_TOOLCHAIN"].contains(&variable.as_str()) {
            command.env_remove(variable);
        }
    }
    command
}

/// What `command` prints, if it succeeds; what it complains about, if not.
pub fn stdout_of(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("failed to run {}", line_of(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed ({})\n{}",
            line_of(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A command as one would type it.
pub fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

/// A current-thread runtime for the chores that talk to a database.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}
