//! What rustdoc does not check about the guide: that its links lead to headings that are there, that its guarantees are those of
//! docs/guarantees.md, each is linked to, and that the front page lists every chapter.

use super::read;
use anyhow::{Result, bail, ensure};
use std::{fs, path::Path};

const GUIDE: &str = "crates/sqlxmq/src/guide";

/// Fails if the guide and docs/guarantees.md promise different things, or a chapter is not on the front page.
pub fn check_sources() -> Result<()> {
    let modules = read(&format!("{GUIDE}/mod.rs"))?;
    let front_page = read("crates/sqlxmq/src/lib.rs")?;
    let mut chapters = String::new();
    for line in modules.lines() {
        let Some(chapter) = line
            .strip_prefix("pub mod ")
            .map(|rest| rest.trim_end_matches(';'))
        else {
            continue;
        };
        ensure!(
            front_page.contains(&format!("(guide::{chapter})")),
            "the front page does not list the chapter `guide::{chapter}`"
        );
        chapters.push_str(&read(&format!("{GUIDE}/{chapter}.rs"))?);
    }
    let here = promises_of_the_guide(&read(&format!("{GUIDE}/guarantees.rs"))?);
    let there = promises_of_the_docs(&read("docs/guarantees.md")?);
    ensure!(!there.is_empty(), "docs/guarantees.md has no numbered promises");
    ensure!(
        here == there,
        "the guarantees of the guide are not those of docs/guarantees.md:\n{here:?}\n{there:?}"
    );
    for (number, _) in &there {
        let link = format!("(super::guarantees#{})", number.to_lowercase());
        ensure!(
            chapters.contains(&link),
            "no chapter of the guide links to {number}"
        );
    }
    Ok(())
}

/// Number and bold words of each promise.
fn promises_of_the_docs(table: &str) -> Vec<(String, String)> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| G"));
    rows.filter_map(|row| {
        let (number, rest) = row.split_once(" | ")?;
        Some((format!("G{number}"), bold(rest)?))
    })
    .collect()
}

fn promises_of_the_guide(source: &str) -> Vec<(String, String)> {
    let sections = source.split("//! ## ").skip(1);
    sections
        .filter_map(|section| {
            let (number, rest) = section.split_once('\n')?;
            Some((number.to_owned(), bold(rest)?))
        })
        .collect()
}

fn bold(text: &str) -> Option<String> {
    let words = text.split("**").nth(1)?;
    Some(words.trim_end_matches(['.', ',']).to_owned())
}

/// Fails if a page of the guide links to a heading or a member that is not there.
pub fn check_links(docs: &Path) -> Result<()> {
    let mut broken = Vec::new();
    let mut pages = vec![docs.join("sqlxmq/guide/index.html")];
    for entry in fs::read_dir(docs.join("sqlxmq/guide"))? {
        let page = entry?.path().join("index.html");
        if page.is_file() {
            pages.push(page);
        }
    }
    for page in pages {
        let html = fs::read_to_string(&page)?;
        for link in html.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap_or_default();
            let Some((file, anchor)) = link.split_once('#') else {
                continue;
            };
            // Lines of a source have no heading.
            if link.contains("://") || file.contains("/src/") || anchor.is_empty() {
                continue;
            }
            let target = match file {
                "" => page.clone(),
                file => page.with_file_name("").join(file),
            };
            let there = fs::read_to_string(&target).unwrap_or_default();
            if !there.contains(&format!("id=\"{anchor}\"")) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    if !broken.is_empty() {
        bail!("the guide links to what is not there:\n{}", broken.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_read_from_the_table_and_from_the_chapter() {
        let one = [("G1".to_owned(), "Spawn is transactional".to_owned())];
        let table =
            "| | promise |\n|---|---|\n| G1 | **Spawn is transactional.** The job | x |\n| L1 | y |\n";
        assert_eq!(promises_of_the_docs(table), one);
        let chapter = "//! Text.\n//!\n//! ## G1\n//!\n//! **Spawn is transactional.** The job\n";
        assert_eq!(promises_of_the_guide(chapter), one);
    }

    #[test]
    fn the_guide_promises_what_the_docs_do() {
        check_sources().expect("the same promises");
    }
}
