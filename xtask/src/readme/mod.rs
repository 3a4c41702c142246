//! `cargo xtask readme`: README.md's body, from the documentation of the facade crate.
//!
//! Head and foot are written by hand; what is between the two markers is generated.

mod api;
mod guide;
mod markdown;

pub use api::DOCS_RS;

use crate::shell;
use anyhow::{Context, Result, bail};
use std::{fs, path::Path};

const BEGIN: &str =
    "<!-- Generated from crates/sqlxmq/src/lib.rs by `cargo xtask readme`: edit it there. -->\n";
const END: &str = "<!-- End of the generated part. -->\n";

/// Generate README.md's body from the facade's documentation
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if README.md is stale.
    #[arg(long)]
    check: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check { check() } else { write() }
}

/// Fails if README.md is stale, or the guide promises something else than docs/guarantees.md.
pub fn check() -> Result<()> {
    let (present, fresh) = (read("README.md")?, generate()?);
    match first_difference(&present, &fresh) {
        None => guide::check_sources(),
        Some(difference) => bail!("README.md is stale: run `cargo xtask readme`\n{difference}"),
    }
}

fn write() -> Result<()> {
    fs::write(shell::root().join("README.md"), generate()?).context("failed to write README.md")
}

/// Fails if README.md or the guide links to what `cargo doc` has not made a page or an anchor for.
pub fn check_links(docs: &Path) -> Result<()> {
    let mut broken = Vec::new();
    for link in read("README.md")?.split(DOCS_RS).skip(1) {
        let link = link.split([')', ' ', '\n', '>']).next().unwrap_or_default();
        let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
        let html = fs::read_to_string(docs.join("sqlxmq").join(page)).unwrap_or_default();
        let has_anchor = anchor.is_empty() || html.contains(&format!("id=\"{anchor}\""));
        if html.is_empty() || !has_anchor {
            broken.push(link.to_owned());
        }
    }
    guide::check_links(docs)?;
    if !broken.is_empty() {
        bail!(
            "README.md links to what the documentation of sqlxmq does not have:\n{}",
            broken.join("\n")
        );
    }
    Ok(())
}

fn generate() -> Result<String> {
    let present = read("README.md")?;
    let (head, rest) = present
        .split_once(BEGIN)
        .context("README.md lacks the marker before its body")?;
    let (_, foot) = rest
        .split_once(END)
        .context("README.md lacks the marker after its body")?;
    let docs = module_docs(&read("crates/sqlxmq/src/lib.rs")?)?;
    let body = markdown::to_readme(&docs, &api::Api::read()?)?;
    Ok(format!("{head}{BEGIN}\n{}\n\n{END}{foot}", body.trim()))
}

/// The text of the `//!` lines, and of files included as documentation.
fn module_docs(source: &str) -> Result<String> {
    let mut docs = String::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("//!") {
            docs.push_str(text.strip_prefix(' ').unwrap_or(text));
            docs.push('\n');
        } else if let Some(rest) = line.strip_prefix("#![doc = include_str!(\"") {
            let file = rest.split('"').next().unwrap_or_default();
            docs.push_str(&read(&format!("crates/sqlxmq/src/{file}"))?);
        }
    }
    Ok(docs)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(shell::root().join(path)).with_context(|| format!("failed to read {path}"))
}

/// The first line in which two texts differ, for a person who has to find it.
pub fn first_difference(present: &str, fresh: &str) -> Option<String> {
    if present == fresh {
        return None;
    }
    let (mut old, mut new) = (present.lines(), fresh.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (old, new) if old == new => {}
            (old, new) => {
                let (old, new) = (old.unwrap_or("(end)"), new.unwrap_or("(end)"));
                return Some(format!("line {number}\n  is:        {old}\n  should be: {new}"));
            }
        }
    }
    Some("they differ in line endings".to_owned())
}
