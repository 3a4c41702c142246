//! What the documentation can link to: the public items of the crates, and where docs.rs has them.
//!
//! Read from the sources line by line, which rustfmt makes possible. `cargo xtask ci` compares the result with the pages
//! that `cargo doc` makes.

use crate::shell;
use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs, path::Path};

/// Where the facade's documentation is published.
pub const DOCS_RS: &str = "https://docs.rs/sqlxmq/latest/sqlxmq/";

/// Other crates that our documentation names.
const FOREIGN: [&str; 9] = [
    "sqlx",
    "tokio",
    "serde",
    "serde_json",
    "uuid",
    "tracing",
    "inventory",
    "anyhow",
    "chrono",
];

const SOURCES: [&str; 3] = [
    "crates/sqlxmq-core/src",
    "crates/sqlxmq/src",
    "crates/sqlxmq-macros/src",
];

/// Pages by item, and anchors by item and member.
#[derive(Default)]
pub struct Api {
    pages: BTreeMap<String, String>,
    anchors: BTreeMap<(String, String), String>,
}

impl Api {
    /// Reads the sources of the published crates.
    pub fn read() -> Result<Api> {
        let mut api = Api::default();
        for folder in SOURCES {
            api.add_folder(&shell::root().join(folder))?;
        }
        Ok(api)
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                self.add_folder(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.add_source(&fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }

    fn add_source(&mut self, source: &str) {
        // Whose block we are in, and how its members' anchors begin.
        let mut block: Option<(String, &str)> = None;
        let mut is_attribute_macro = false;
        for line in source.lines() {
            let top_level = !line.starts_with([' ', '}']) && !line.is_empty();
            if top_level {
                if let Some((page, name)) = item(line, is_attribute_macro) {
                    self.pages.entry(name.clone()).or_insert(page);
                }
                if line.starts_with("#[proc_macro_attribute]") {
                    is_attribute_macro = true;
                } else if !line.starts_with(['#', '/']) {
                    is_attribute_macro = false;
                    block = opens(line);
                }
            } else if let Some((owner, kind)) = &block
                && let Some((name, anchor)) = member(line, kind)
            {
                self.anchors.entry((owner.clone(), name)).or_insert(anchor);
            }
        }
    }

    /// Modules are known by their own names: there are no two of one name.
    fn is_module(&self, name: &str) -> bool {
        self.pages
            .get(name)
            .is_some_and(|page| *page == format!("{name}/index.html"))
    }

    /// The address of a path as rustdoc takes it (`JobBuilder::spawn`, `macro@job`), or `None`.
    pub fn address(&self, path: &str) -> Option<String> {
        let path = path.split_once('@').map_or(path, |(_, path)| path);
        let path = path.trim_end_matches("()").trim_end_matches('!');
        if path.is_empty()
            || !path
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        {
            return None;
        }
        let mut segments: Vec<&str> = path.split("::").collect();
        while ["crate", "self", "sqlxmq", "sqlxmq_core"].contains(segments.first()?) && segments.len() > 1 {
            segments.remove(0);
        }
        if segments.len() > 1 && ["std", "core", "alloc"].contains(&segments[0]) {
            return Some(format!(
                "https://doc.rust-lang.org/std/?search={}",
                segments.join("::")
            ));
        }
        if segments.len() > 1 && FOREIGN.contains(&segments[0]) {
            let name = segments[0];
            return Some(format!(
                "https://docs.rs/{name}/latest/{name}/?search={}",
                segments.join("::")
            ));
        }
        match segments[..] {
            [item] => Some(format!("{DOCS_RS}{}", self.pages.get(item)?)),
            [module, name] if self.is_module(module) && self.is_module(name) => {
                Some(format!("{DOCS_RS}{module}/{name}/index.html"))
            }
            [owner, name] => {
                let anchor = self.anchors.get(&(owner.to_owned(), name.to_owned()))?;
                Some(format!("{DOCS_RS}{}#{anchor}", self.pages.get(owner)?))
            }
            _ => None,
        }
    }
}

/// The page and the name of a public item that a line declares.
fn item(line: &str, is_attribute_macro: bool) -> Option<(String, String)> {
    let words = line.strip_prefix("pub ")?;
    let words = words.strip_prefix("async ").unwrap_or(words);
    let words = if words.starts_with("const fn ") {
        &words["const ".len()..]
    } else {
        words
    };
    let (kind, rest) = words.split_once(' ')?;
    let name = identifier(rest)?;
    let page = match kind {
        "fn" if is_attribute_macro => format!("attr.{name}.html"),
        "struct" | "enum" | "trait" | "type" | "fn" | "static" => format!("{kind}.{name}.html"),
        "const" => format!("constant.{name}.html"),
        "mod" => format!("{name}/index.html"),
        _ => return None,
    };
    Some((page, name))
}

/// Whose members the following lines declare, if the line opens a block with members.
fn opens(line: &str) -> Option<(String, &'static str)> {
    for (prefix, kind) in [
        ("pub enum ", "variant"),
        ("pub struct ", "structfield"),
        ("pub trait ", "tymethod"),
    ] {
        if let Some(rest) = line.strip_prefix(prefix) {
            return Some((identifier(rest)?, kind));
        }
    }
    let rest = line.strip_prefix("impl")?;
    let rest = rest.split_once(" for ").map_or(rest, |(_, owner)| owner);
    let rest = if rest.starts_with('<') {
        rest.split_once("> ")?.1
    } else {
        rest
    };
    Some((identifier(rest.trim_start())?, "method"))
}

/// The name and the anchor of a member that a line declares.
fn member(line: &str, kind: &str) -> Option<(String, String)> {
    let declaration = line.strip_prefix("    ")?;
    if declaration.starts_with([' ', '/', '#', '}', ')']) {
        return None;
    }
    let public = declaration.strip_prefix("pub ");
    let name = match kind {
        "variant" => identifier(declaration)?,
        "structfield" => identifier(public?)?,
        _ => {
            let words = public.unwrap_or(declaration);
            let words = words
                .strip_prefix("async ")
                .or(words.strip_prefix("const "))
                .unwrap_or(words);
            identifier(words.strip_prefix("fn ")?)?
        }
    };
    let anchor = format!("{kind}.{name}");
    Some((name, anchor))
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Api {
        let mut api = Api::default();
        api.add_source(
            "pub struct JobBuilder<'a> {\n    name: String,\n}\n\nimpl<'a> JobBuilder<'a> {\n    /// Sets.\n    \
             pub fn set_delay(&mut self) {}\n\n    pub async fn spawn(self) {}\n}\n\n#[derive(Debug)]\npub enum \
             SpawnError {\n    /// It.\n    Encode {\n        name: String,\n    },\n}\n\npub async fn \
             commit() {}\npub const fn limit() {}\npub const LIMIT: u8 = 1;\n",
        );
        api.add_source("pub mod guide;\n");
        api.add_source("pub mod order;\n");
        api.add_source("#[proc_macro_attribute]\npub fn job(a: T, b: T) -> T {\n}\n");
        api
    }

    #[test]
    fn items_and_members_have_addresses() {
        for (path, address) in [
            ("JobBuilder", "struct.JobBuilder.html"),
            (
                "crate::JobBuilder::set_delay",
                "struct.JobBuilder.html#method.set_delay",
            ),
            ("JobBuilder::spawn()", "struct.JobBuilder.html#method.spawn"),
            ("SpawnError::Encode", "enum.SpawnError.html#variant.Encode"),
            ("commit", "fn.commit.html"),
            ("limit", "fn.limit.html"),
            ("LIMIT", "constant.LIMIT.html"),
            ("macro@job", "attr.job.html"),
            ("guide", "guide/index.html"),
            ("guide::order", "guide/order/index.html"),
        ] {
            assert_eq!(api().address(path), Some(format!("{DOCS_RS}{address}")), "{path}");
        }
        assert_eq!(api().address("JobBuilder::nothing"), None);
        assert_eq!(api().address("some words"), None);
    }
}
