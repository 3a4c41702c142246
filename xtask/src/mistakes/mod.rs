//! `cargo xtask mistakes`: the guide's first program with each typical mistake in it, and what its author gets to see.
//!
//! The program is read from the guide, changed, built and run against a server of its own. docs/design/mistakes.md is what comes out.

mod mistake;
mod output;
mod program;
mod table;

use crate::{readme::first_difference, shell};
use anyhow::{Context, Result, bail};
use std::{fmt::Write, fs};

const PAGE: &str = "docs/design/mistakes.md";

const HEAD: &str = "
# Mistakes, and what is said about them

A newcomer's program, the first one of the guide, with a typical mistake made in each of these. The output is real: `cargo xtask mistakes` makes
them one after the other, builds and runs the program, and writes this page; `--check` is a step of `cargo xtask ci --full`. Paths, times and ids are left
out. The column *tells the fix* was read by a person. Where it says *no*, nobody in the program can know that it is a mistake.

What came of reading it: errors of `migrate`, `run` and `spawn` show their text under `{:?}`, which is how `main` and `unwrap` print them; a runner's
handle and a builder that are dropped at once are warnings; a job that holds its thread is told of; a dropped job says what to call; a missing `&str` asks for the
`String`; a transaction that is passed as it is is told `&mut *tx`; and the guide's program has a subscriber for `tracing`, without which a job fails in silence.

| | mistake | noticed | tells the fix |
|---|---|---|---|";

/// Make each typical mistake in the guide's first program, and write down what is said about it
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if the page is stale.
    #[arg(long)]
    check: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.check {
        true => check(),
        false => fs::write(shell::root().join(PAGE), page()?).context("failed to write the page"),
    }
}

/// Fails if the page is stale.
pub fn check() -> Result<()> {
    let fresh = page()?;
    let present = fs::read_to_string(shell::root().join(PAGE)).unwrap_or_default();
    match first_difference(&present, &fresh) {
        None => Ok(()),
        Some(difference) => {
            bail!("{PAGE} is stale: look at what `cargo xtask mistakes` writes\n{difference}")
        }
    }
}

fn page() -> Result<String> {
    let server = devpg::DevPg::start()?;
    let program = program::Program::of_the_guide()?;
    let mut page = format!("{}\n", HEAD.trim_start());
    let mut sections = String::new();
    for (index, mistake) in table::all().enumerate() {
        let number = index + 1;
        eprintln!("{number}/{} {}", table::all().count(), mistake.title);
        let output = program
            .seen(&server, number, mistake)
            .with_context(|| format!("mistake {number}, {}", mistake.title))?;
        for expected in mistake.tells {
            if !output.contains(expected) {
                bail!("{}: nothing says `{expected}`:\n{output}", mistake.title);
            }
        }
        writeln!(
            page,
            "| {number} | {} | {} | {} |",
            mistake.title, mistake.when, mistake.verdict
        )?;
        write!(
            sections,
            "\n## {number}. {}\n\n```diff\n{}```\n\n```text\n{}\n```\n",
            mistake.title,
            mistake.difference(),
            if output.is_empty() {
                "(nothing)"
            } else {
                output.trim_end()
            }
        )?;
    }
    page.push_str(&sections);
    Ok(page)
}
