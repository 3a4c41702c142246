//! Everything that a user of `sqlxmq` can name, one line each.

use super::render::{attributes, demand, fields, generics, is_public, member, text, variant};
use super::tree::{Module, imports, is_hidden};
use crate::shell;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use syn::{Attribute, Item, ItemImpl, Type};

const HEAD: &str = "\
# The public interface of sqlxmq, as `cargo xtask api` reads it. A line that changes or goes is a breaking change, unless
# docs/semver.md says otherwise. `..` in a struct: private fields; after a trait's method: it need not be implemented.
";

/// The interface.
#[derive(Default)]
pub struct Listing {
    entries: Vec<Entry>,
}

/// An item with its members.
struct Entry {
    line: String,
    members: BTreeSet<String>,
    /// Its page in the documentation without features.
    page: Option<String>,
}

/// Reads the facade, which has everything by re-export.
pub fn of_the_facade() -> Result<Listing> {
    let facade = Module::of_crate(&shell::root().join("crates/sqlxmq/src/lib.rs"))?;
    let core = Module::of_crate(&shell::root().join("crates/sqlxmq-core/src/lib.rs"))?;
    let mut listing = Listing::default();
    for import in imports(&facade)
        .iter()
        .filter(|import| import.is_public && !import.is_hidden)
    {
        match import.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["sqlxmq_core", "*"] => listing.add_module(&core, &core, "", false)?,
            ["sqlxmq_macros", name] => listing.entries.push(Entry {
                line: format!("#[proc_macro_attribute] {name}"),
                members: BTreeSet::new(),
                page: Some(format!("attr.{name}.html")),
            }),
            _ => bail!(
                "the facade re-exports `{}`, which `cargo xtask api` can't follow",
                import.path.join("::")
            ),
        }
    }
    if facade.items.iter().any(|item| {
        matches!(
            item,
            Item::Fn(_) | Item::Struct(_) | Item::Enum(_) | Item::Trait(_)
        )
    }) {
        bail!("the facade has items of its own, which `cargo xtask api` does not list");
    }
    for module in core.all() {
        module
            .items
            .iter()
            .for_each(|item| listing.add_macro(module, item));
    }
    listing.add_features()?;
    listing.entries.sort_by(|a, b| a.line.cmp(&b.line));
    Ok(listing)
}

impl Listing {
    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for entry in &self.entries {
            text += &format!("\n{}\n", entry.line);
            for member in &entry.members {
                text += &format!("    {member}\n");
            }
        }
        text
    }

    /// The pages that the documentation without features must have.
    pub fn pages(&self) -> BTreeSet<String> {
        self.entries
            .iter()
            .filter_map(|entry| entry.page.clone())
            .collect()
    }

    fn add_module(&mut self, krate: &Module, module: &Module, prefix: &str, has_feature: bool) -> Result<()> {
        for item in &module.items {
            match item {
                Item::Mod(inner) if is_public(&inner.vis) && !is_hidden(&inner.attrs) => {
                    let name = inner.ident.to_string();
                    let child = module
                        .child(&name)
                        .with_context(|| format!("module `{name}` has no file"))?;
                    let has_feature = has_feature || attributes(&inner.attrs).contains("cfg");
                    self.entries.push(Entry {
                        line: format!("mod {prefix}{name}{}", attributes(&inner.attrs)),
                        members: BTreeSet::new(),
                        page: None,
                    });
                    self.add_module(krate, child, &format!("{prefix}{name}::"), has_feature)?;
                }
                _ => {
                    self.add_item(krate, item, prefix, None, has_feature);
                }
            }
        }
        for import in imports(module)
            .into_iter()
            .filter(|import| import.is_public && !import.is_hidden)
        {
            let Some(found) = krate.find(module, &import.name) else {
                bail!(
                    "`pub use {}` leads to nothing that `cargo xtask api` can find",
                    import.path.join("::")
                );
            };
            self.add_item(krate, found, prefix, Some(&import.name), has_feature);
        }
        Ok(())
    }

    /// `exported_as`: by a `pub use`, whatever the item's own visibility.
    fn add_item(
        &mut self,
        krate: &Module,
        found: &Item,
        prefix: &str,
        exported_as: Option<&str>,
        has_feature: bool,
    ) {
        let (kind, attrs, vis, name, rest) = match found {
            Item::Struct(item) => (
                "struct",
                &item.attrs,
                &item.vis,
                &item.ident,
                generics(&item.generics) + &fields(&item.fields),
            ),
            Item::Enum(item) => (
                "enum",
                &item.attrs,
                &item.vis,
                &item.ident,
                generics(&item.generics),
            ),
            Item::Trait(item) => {
                let bounds = match item.supertraits.is_empty() {
                    true => String::new(),
                    false => format!(": {}", text(&item.supertraits)),
                };
                (
                    "trait",
                    &item.attrs,
                    &item.vis,
                    &item.ident,
                    generics(&item.generics) + &bounds,
                )
            }
            Item::Type(item) => {
                let is = format!("{} = {}", generics(&item.generics), text(&item.ty));
                ("type", &item.attrs, &item.vis, &item.ident, is)
            }
            Item::Const(item) => {
                let is = format!(": {} = {}", text(&item.ty), text(&item.expr));
                ("constant", &item.attrs, &item.vis, &item.ident, is)
            }
            Item::Fn(item) => {
                let signature = text(&item.sig);
                let name = item.sig.ident.to_string();
                let (before, after) = signature.split_once(&name).unwrap_or(("", &signature));
                if (exported_as.is_some() || is_public(&item.vis)) && !is_hidden(&item.attrs) {
                    self.entries.push(Entry {
                        line: format!("{before}{prefix}{name}{after}{}", attributes(&item.attrs)),
                        members: BTreeSet::new(),
                        page: page("fn", prefix, &name, has_feature),
                    });
                }
                return;
            }
            _ => return,
        };
        if (exported_as.is_none() && !is_public(vis)) || is_hidden(attrs) {
            return;
        }
        let name = exported_as.map_or_else(|| name.to_string(), str::to_owned);
        self.entries.push(Entry {
            line: format!("{kind} {prefix}{name}{rest}{}", attributes(attrs)),
            members: members(krate, found),
            page: page(kind, prefix, &name, has_feature),
        });
    }

    fn add_macro(&mut self, module: &Module, item: &Item) {
        if let Item::Macro(item) = item
            && let Some(name) = &item.ident
            && item
                .attrs
                .iter()
                .any(|attribute| attribute.path().is_ident("macro_export"))
        {
            let arms = item.mac.tokens.clone().into_iter().collect::<Vec<_>>();
            // The arms' patterns: each is the group before a `=>`.
            let patterns = arms
                .windows(2)
                .filter(|pair| pair[1].to_string() == "=")
                .map(|pair| text(&pair[0]));
            self.entries.push(Entry {
                line: format!("macro_rules! {name}"),
                members: patterns.collect(),
                page: match module.path.first().map(String::as_str) {
                    Some("testing") => None,
                    _ => Some(format!("macro.{name}.html")),
                },
            });
        }
    }

    fn add_features(&mut self) -> Result<()> {
        let manifest = fs::read_to_string(shell::root().join("crates/sqlxmq/Cargo.toml"))?;
        let features = manifest
            .split("[features]")
            .nth(1)
            .and_then(|rest| rest.split("\n[").next());
        let features = features.context("the facade has features")?.lines();
        let members = features
            .filter(|line| line.contains('='))
            .map(|line| line.split(" =").next().unwrap_or(line).to_owned());
        self.entries.push(Entry {
            line: "[features]".to_owned(),
            members: members.collect(),
            page: None,
        });
        Ok(())
    }
}

fn page(kind: &str, prefix: &str, name: &str, has_feature: bool) -> Option<String> {
    (!has_feature).then(|| format!("{}{kind}.{name}.html", prefix.replace("::", "/")))
}

/// The variants, the methods and the traits of a type; what a trait demands.
fn members(krate: &Module, found: &Item) -> BTreeSet<String> {
    let mut members = BTreeSet::new();
    let mut add = |attrs: &[Attribute], line: String| {
        if !is_hidden(attrs) {
            members.insert(line + &attributes(attrs));
        }
    };
    match found {
        Item::Enum(item) => item.variants.iter().for_each(|it| add(&it.attrs, variant(it))),
        Item::Trait(item) => item
            .items
            .iter()
            .filter_map(demand)
            .for_each(|(attrs, line)| add(&attrs, line)),
        _ => {}
    }
    for module in krate.all() {
        for item in &module.items {
            let Item::Impl(block) = item else { continue };
            if is_hidden(&block.attrs) || !is_of(krate, module, block, found) {
                continue;
            }
            let (parameters, of) = (generics_of(block), text(&block.self_ty));
            if let Some(implemented) = &block.trait_ {
                let implemented = text(&implemented.0);
                add(
                    &block.attrs,
                    format!("impl{parameters} {implemented} for {of}{}", bounds_of(block)),
                );
                continue;
            }
            // Which types have it, if not all of that name.
            let is_all = of.ends_with(&parameters) && block.generics.where_clause.is_none();
            let condition = match is_all {
                true => String::new(),
                false => format!("impl{parameters} {of}{}: ", bounds_of(block)),
            };
            for (attrs, line) in block.items.iter().filter_map(member) {
                add(&attrs, format!("{condition}{line}"));
            }
        }
    }
    members
}

fn generics_of(block: &ItemImpl) -> String {
    let without_bounds = syn::Generics {
        where_clause: None,
        ..block.generics.clone()
    };
    generics(&without_bounds)
}

fn bounds_of(block: &ItemImpl) -> String {
    let bounds = block.generics.where_clause.as_ref();
    bounds
        .map(|bounds| format!(" {}", text(bounds).trim_end_matches(',')))
        .unwrap_or_default()
}

/// Whether the block is of that very item, and not of another of its name.
fn is_of(krate: &Module, module: &Module, block: &ItemImpl, found: &Item) -> bool {
    let Type::Path(path) = &*block.self_ty else {
        return false;
    };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    krate
        .find(module, &last.ident.to_string())
        .is_some_and(|of| std::ptr::eq(of, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_has_what_can_be_named_and_nothing_that_is_hidden() {
        let text = of_the_facade().expect("a listing").text();
        for line in [
            "#[proc_macro_attribute] job",
            "struct JobEnd { .. }",
            "    Retry { after: Duration }",
            "    fn set_ordered(&mut self, ordered: bool) -> &mut Self",
            "    impl<T> Deref for Json<T>",
            "    fn needs(_needs: &mut ContextNeeds<'_>) { .. }",
            "constant config::MAX_NAME_BYTES: usize = 1024",
        ] {
            assert!(
                text.lines().any(|listed| listed == line),
                "`{line}` is missing in\n{text}"
            );
        }
        for hidden in [
            "new_internal",
            "__private",
            "Verdict",
            "fn of_owner",
            "NewCheckpoint",
            "migrator",
        ] {
            assert!(!text.contains(hidden), "`{hidden}` is hidden");
        }
    }
}
