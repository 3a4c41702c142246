//! The modules of a crate as its files have them, and where a name in them leads.

use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use syn::{Attribute, Item, ItemMod, UseTree, Visibility};

/// One module.
pub struct Module {
    /// From the crate's root.
    pub path: Vec<String>,
    pub items: Vec<Item>,
    children: BTreeMap<String, Module>,
}

impl Module {
    /// Reads a crate from its `lib.rs`. Tests and what is hidden are left out.
    pub fn of_crate(root: &Path) -> Result<Module> {
        read(root, root.parent().context("lib.rs is in a folder")?, Vec::new())
    }

    /// Every module, this one first.
    pub fn all(&self) -> Vec<&Module> {
        let below = self.children.values().flat_map(Module::all);
        std::iter::once(self).chain(below).collect()
    }

    pub fn child(&self, name: &str) -> Option<&Module> {
        self.children.get(name)
    }

    fn at(&self, path: &[String]) -> Option<&Module> {
        path.iter().try_fold(self, |module, name| module.child(name))
    }

    /// Finds what `name` means in the module `of`: an item there, or what an import there leads to. `self` is the crate's root.
    pub fn find<'a>(&'a self, of: &'a Module, name: &str) -> Option<&'a Item> {
        let own = of
            .items
            .iter()
            .find(|item| name_of(item).as_deref() == Some(name));
        if own.is_some() {
            return own;
        }
        let import = imports(of).into_iter().find(|import| import.name == name)?;
        let (last, path) = import.path.split_last()?;
        let from = match path.first().map(String::as_str) {
            Some("crate") => self.at(&path[1..])?,
            Some("super") => self.at(&[&of.path[..of.path.len() - 1], &path[1..]].concat())?,
            Some("self") => of.at(&path[1..])?,
            _ => of.at(path)?,
        };
        if std::ptr::eq(from, of) && last == name {
            return None;
        }
        self.find(from, last)
    }
}

/// One name that a module imports.
pub struct Import {
    pub name: String,
    /// Its last part is what is imported; `*` is everything.
    pub path: Vec<String>,
    pub is_public: bool,
    pub is_hidden: bool,
}

pub fn imports(module: &Module) -> Vec<Import> {
    let mut found = Vec::new();
    for item in &module.items {
        if let Item::Use(item) = item {
            let (is_public, is_hidden) = (matches!(item.vis, Visibility::Public(_)), is_hidden(&item.attrs));
            leaves(&item.tree, &mut Vec::new(), &mut |name, path| {
                found.push(Import {
                    name,
                    path,
                    is_public,
                    is_hidden,
                });
            });
        }
    }
    found
}

fn leaves(tree: &UseTree, path: &mut Vec<String>, found: &mut impl FnMut(String, Vec<String>)) {
    let with = |path: &[String], last: &dyn ToString| [path, &[last.to_string()]].concat();
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            leaves(&inner.tree, path, found);
            path.pop();
        }
        UseTree::Name(name) => found(name.ident.to_string(), with(path, &name.ident)),
        UseTree::Rename(rename) => found(rename.rename.to_string(), with(path, &rename.ident)),
        UseTree::Glob(_) => found("*".to_owned(), with(path, &"*")),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, path, found)),
    }
}

fn read(file: &Path, folder: &Path, path: Vec<String>) -> Result<Module> {
    let source = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let parsed = syn::parse_file(&source).with_context(|| format!("failed to parse {}", file.display()))?;
    let mut module = Module {
        path,
        items: Vec::new(),
        children: BTreeMap::new(),
    };
    for item in parsed.items {
        if let Item::Mod(inner) = &item
            && inner.content.is_none()
            && !is_test(&inner.attrs)
            && !is_hidden(&inner.attrs)
        {
            let name = inner.ident.to_string();
            let (file, below) = file_of(inner, folder);
            let path = [&module.path[..], std::slice::from_ref(&name)].concat();
            module.children.insert(name, read(&file, &below, path)?);
        }
        module.items.push(item);
    }
    Ok(module)
}

/// The file of a module, and the folder of its own modules.
fn file_of(module: &ItemMod, folder: &Path) -> (PathBuf, PathBuf) {
    let name = module.ident.to_string();
    let below = folder.join(&name);
    match below.join("mod.rs") {
        file if file.exists() => (file, below),
        _ => (folder.join(format!("{name}.rs")), below),
    }
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Struct(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Const(item) => item.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        _ => return None,
    })
}

pub fn is_hidden(attributes: &[Attribute]) -> bool {
    has(attributes, "doc", "hidden")
}

fn is_test(attributes: &[Attribute]) -> bool {
    has(attributes, "cfg", "test")
}

fn has(attributes: &[Attribute], name: &str, argument: &str) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident(name)
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|given| given == argument)
    })
}
