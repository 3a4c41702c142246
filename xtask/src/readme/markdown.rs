//! Rustdoc's markdown turned into GitHub's. Pure.

use super::api::Api;
use anyhow::{Result, bail};

/// Words after a fence that mean Rust.
const RUST: [&str; 6] = [
    "rust",
    "no_run",
    "should_panic",
    "compile_fail",
    "edition2024",
    "ignore",
];

/// One level down for headings, hidden lines dropped, links to items turned into links to docs.rs.
///
/// # Errors
///
/// If a link names an item that does not exist.
pub fn to_readme(docs: &str, api: &Api) -> Result<String> {
    let mut readme = String::new();
    let mut prose = String::new();
    let mut fence = Fence::None;
    for line in docs.lines() {
        let marker = line.trim_start();
        match fence {
            Fence::None if marker.starts_with("```") => {
                readme.push_str(&links(&prose, api)?);
                prose.clear();
                let language = marker.trim_start_matches('`').trim();
                let is_rust = language
                    .split([',', ' '])
                    .all(|word| word.is_empty() || RUST.contains(&word));
                fence = if is_rust { Fence::Rust } else { Fence::Other };
                readme.push_str(if is_rust { "```rust" } else { line });
            }
            Fence::None => {
                let heading = if line.starts_with('#') { "#" } else { "" };
                prose.push_str(&format!("{heading}{line}\n"));
                continue;
            }
            _ if marker.starts_with("```") => {
                fence = Fence::None;
                readme.push_str(line);
            }
            Fence::Rust if line == "#" || line.starts_with("# ") => continue,
            Fence::Rust if line.starts_with("##") => readme.push_str(&line[1..]),
            _ => readme.push_str(line),
        }
        readme.push('\n');
    }
    readme.push_str(&links(&prose, api)?);
    Ok(readme)
}

enum Fence {
    None,
    Rust,
    Other,
}

/// Rewrites the links of a piece of prose.
fn links(prose: &str, api: &Api) -> Result<String> {
    let defined: Vec<&str> = prose
        .lines()
        .filter_map(definition)
        .map(|(label, _)| label)
        .collect();
    let mut output = String::new();
    let mut rest = prose;
    while let Some(at) = rest.find(['`', '[']) {
        output.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('`') {
            let code = code_span(rest);
            output.push_str(code);
            rest = &rest[code.len()..];
            continue;
        }
        let Some(text) = bracketed(rest) else {
            output.push('[');
            rest = &rest[1..];
            continue;
        };
        let after = &rest[text.len() + 2..];
        let (target, length) = target(after);
        let starts_line = output.is_empty() || output.ends_with('\n');
        let (rewritten, length) = match target {
            Target::Inline(path) => (format!("[{text}]({})", resolve(path, api)?), length),
            Target::Reference(label) if defined.contains(&label) => (format!("[{text}][{label}]"), length),
            Target::Reference(path) => (format!("[{text}]({})", resolve(path, api)?), length),
            Target::None if starts_line && after.starts_with(": ") => {
                let path = after[2..].lines().next().unwrap_or_default();
                (
                    format!("[{text}]: {}", resolve(path.trim(), api)?),
                    2 + path.len(),
                )
            }
            Target::None if defined.contains(&text) => (format!("[{text}]"), 0),
            Target::None if text.starts_with('`') => {
                (format!("[{text}]({})", resolve(text.trim_matches('`'), api)?), 0)
            }
            Target::None => (
                api.address(text)
                    .map_or(format!("[{text}]"), |to| format!("[{text}]({to})")),
                0,
            ),
        };
        output.push_str(&rewritten);
        rest = &after[length..];
    }
    output.push_str(rest);
    Ok(output)
}

enum Target<'a> {
    Inline(&'a str),
    Reference(&'a str),
    None,
}

/// What follows a link's text, and how long that is.
fn target(after: &str) -> (Target<'_>, usize) {
    if let Some(rest) = after.strip_prefix('(')
        && let Some((path, _)) = rest.split_once(')')
    {
        // `JobBuilder::spawn()` ends with a bracket of its own.
        let call = path.ends_with('(');
        let length = path.len() + 2 + usize::from(call);
        return (Target::Inline(&after[1..length - 1]), length);
    }
    if after.starts_with('[')
        && let Some(label) = bracketed(after)
        && !label.is_empty()
    {
        return (Target::Reference(label.trim_matches('`')), label.len() + 2);
    }
    (Target::None, 0)
}

/// The address of a link's target: web addresses and files stay, paths of items go to docs.rs.
fn resolve(target: &str, api: &Api) -> Result<String> {
    let is_address = target.contains("://") || target.starts_with(['#', '.', '/']) || target.contains(".md");
    if is_address {
        return Ok(target.to_owned());
    }
    match api.address(target.trim_matches('`')) {
        Some(address) => Ok(address),
        None => bail!("the documentation links to `{target}`, which is no public item of sqlxmq"),
    }
}

/// The label and the target of a line like `[label]: target`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let label = bracketed(line)?;
    Some((label, line[label.len() + 2..].strip_prefix(": ")?.trim()))
}

/// The text in the brackets that `text` starts with.
fn bracketed(text: &str) -> Option<&str> {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        match rest.chars().next()? {
            '`' => at += code_span(rest).len() - 1,
            '[' => depth += 1,
            ']' if depth == 1 => return (at > 0).then(|| &text[1..at]),
            ']' => depth -= 1,
            _ if depth == 0 => return None,
            _ => {}
        }
        at += text[at..].chars().next()?.len_utf8();
    }
    None
}

/// The code span that `text` starts with, or its backticks alone if they are never closed.
fn code_span(text: &str) -> &str {
    let backticks = &text[..text.len() - text.trim_start_matches('`').len()];
    match text[backticks.len()..].find(backticks) {
        Some(at) => &text[..at + 2 * backticks.len()],
        None => backticks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_blocks_lose_their_hidden_lines_and_become_rust() {
        let docs =
            "# Use\n\n```no_run\n# use x::y;\n#[job]\n## kept\n#\nfn main() {}\n```\n\n```sh\n# hi\n```\n";
        let readme = to_readme(docs, &Api::default()).expect("a readme");
        assert_eq!(
            readme,
            "## Use\n\n```rust\n#[job]\n# kept\nfn main() {}\n```\n\n```sh\n# hi\n```\n"
        );
    }

    #[test]
    fn code_spans_and_web_links_stay() {
        let prose =
            "`#[job]` and [a](https://b.c) and [d](#e) and [f](docs/g.md) and [x] `y[`\n[h]: https://i\n";
        assert_eq!(to_readme(prose, &Api::default()).expect("a readme"), prose);
    }

    #[test]
    fn links_to_std_become_searches_and_unknown_ones_are_refused() {
        let readme = to_readme("[`std::time::Duration`]", &Api::default()).expect("a readme");
        let to = "https://doc.rust-lang.org/std/?search=std::time::Duration";
        assert_eq!(readme.trim(), format!("[`std::time::Duration`]({to})"));
        let reference = to_readme("[it]\n\n[it]: sqlx::PgPool\n", &Api::default()).expect("a readme");
        assert_eq!(
            reference,
            "[it]\n\n[it]: https://docs.rs/sqlx/latest/sqlx/?search=sqlx::PgPool\n"
        );
        let error = to_readme("[`Nothing`]", &Api::default()).expect_err("no such item");
        assert!(error.to_string().contains("`Nothing`"));
    }
}
