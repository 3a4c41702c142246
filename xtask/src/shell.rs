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

/// Cargo, on words separated by spaces. Of the toolchain that runs us, since rustup has told our environment.
pub fn cargo(words: &str) -> Command {
    without_ours(program("cargo", &[]), words)
}

/// Cargo of another toolchain than ours.
pub fn cargo_of(toolchain: &str, words: &str) -> Command {
    let mut command = without_ours(program("rustup", &["run", toolchain, "cargo"]), words);
    command.env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Without the variables that cargo sets for what it runs: a crate that watches one of them would be built anew.
fn without_ours(mut command: Command, words: &str) -> Command {
    for (variable, _) in env::vars_os() {
        let variable = variable.to_string_lossy().into_owned();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|prefix| variable.starts_with(prefix))
        {
            command.env_remove(variable);
        }
    }
    command.env_remove("CARGO").args(words.split_whitespace());
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
