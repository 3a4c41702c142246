//! `cargo xtask examples`: every example run to its end, its output compared with `examples/expected/<name>.txt`.

use crate::{readme::first_difference, report::Report, shell};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// No example takes longer, with its own server.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Run the examples and compare what they print
#[derive(clap::Args)]
pub struct Arguments {
    /// Write what they print into examples/expected instead of comparing.
    #[arg(long)]
    bless: bool,
    /// Which ones. Default: all.
    names: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::default();
    let names = if arguments.names.is_empty() {
        names()?
    } else {
        arguments.names.clone()
    };
    report.command(
        "build",
        &mut shell::cargo("build --quiet --package examples --examples"),
    );
    for name in names {
        report.step(&name, || {
            if arguments.bless {
                bless(&name)
            } else {
                compare(&name)
            }
        });
    }
    report.finish()
}

/// Adds a step for each example.
pub fn steps(report: &mut Report) -> Result<()> {
    report.command(
        "examples: build",
        &mut shell::cargo("build --package examples --examples"),
    );
    for name in names()? {
        report.step(&format!("example {name}"), || compare(&name));
    }
    Ok(())
}

/// The examples, sorted: the files of `examples/` but its empty library.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(shell::root().join("examples")).context("failed to list the examples")? {
        let path = entry?.path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && is_rust
            && name != "lib"
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn expected(name: &str) -> PathBuf {
    shell::root()
        .join("examples/expected")
        .join(format!("{name}.txt"))
}

fn bless(name: &str) -> Result<()> {
    fs::create_dir_all(shell::root().join("examples/expected"))?;
    fs::write(expected(name), output(name)?).context("failed to write the expected output")
}

fn compare(name: &str) -> Result<()> {
    let output = output(name)?;
    let expected = fs::read_to_string(expected(name)).with_context(|| {
        format!("examples/expected/{name}.txt is missing: `cargo xtask examples --bless {name}`")
    })?;
    match first_difference(&output, &expected) {
        None => Ok(()),
        Some(difference) => bail!("example {name} printed something else\n{difference}"),
    }
}

/// What the example prints, without a database of ours: it starts its own, as for a newcomer.
fn output(name: &str) -> Result<String> {
    let mut example = Command::new(shell::target_dir().join("debug/examples").join(name));
    example
        .current_dir(shell::root())
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null());
    let mut child = example.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut stdout, mut stderr) = (
        child.stdout.take().expect("piped"),
        child.stderr.take().expect("piped"),
    );
    let reading = thread::spawn(move || std::io::read_to_string(&mut stdout));
    let complaining = thread::spawn(move || std::io::read_to_string(&mut stderr));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if started.elapsed() > TIMEOUT {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let output = reading.join().expect("the reader does not panic")?;
    let complaints = complaining.join().expect("the reader does not panic")?;
    match status {
        Some(status) if status.success() => Ok(output),
        Some(status) => bail!("example {name} failed ({status})\n{output}{complaints}"),
        None => bail!("example {name} did not end in {TIMEOUT:?}\n{output}{complaints}"),
    }
}
