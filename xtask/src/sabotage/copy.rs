//! A copy of the checkout whose sources can be changed: nobody's work is touched, and what it builds stays built.

use super::sources::Source;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The copy.
pub struct Copy {
    root: PathBuf,
}

impl Copy {
    /// Makes the copy, or brings it up to date: files that are the same are left alone, so that cargo leaves them alone too.
    pub fn make() -> Result<Copy> {
        let root = shell::target_dir().join("sabotage/tree");
        fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        let listed = shell::stdout_of(&mut shell::program(
            "git",
            &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        ))?;
        let mut copied = BTreeSet::new();
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (shell::root().join(name), root.join(name));
            // Listed by git, and removed since.
            let Ok(metadata) = fs::symlink_metadata(&from) else {
                continue;
            };
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            copied.insert(to.clone());
            if metadata.is_symlink() {
                if fs::symlink_metadata(&to).is_err() {
                    symlink(fs::read_link(&from)?, &to)?;
                }
            } else {
                let content = fs::read(&from)?;
                if fs::read(&to).ok().as_ref() != Some(&content) {
                    fs::write(&to, content).with_context(|| format!("failed to copy {name}"))?;
                }
            }
        }
        remove_all_but(&copied, &root)?;
        Ok(Copy { root })
    }

    /// Where the copy is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes a mechanism away until the value is dropped.
    pub fn without(&self, source: &Source) -> Result<Patched> {
        let sources = self.root.join("crates/sqlxmq-core/src");
        let mut originals = Patched::default();
        for (file, text) in patched(source, &sources)? {
            let path = sources.join(file);
            originals.0.push((path.clone(), fs::read_to_string(&path)?));
            fs::write(path, text)?;
        }
        Ok(originals)
    }
}

/// Removes what an earlier copy had and this one has not: a module that has become a folder would be there twice.
fn remove_all_but(kept: &BTreeSet<PathBuf>, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_folder = fs::symlink_metadata(&path)?.is_dir();
        if is_folder && !path.ends_with("target") {
            remove_all_but(kept, &path)?;
        } else if !is_folder && !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The files of a mechanism, by their names in this folder, without it.
pub fn patched(source: &Source, sources: &Path) -> Result<BTreeMap<&'static str, String>> {
    let mut files = BTreeMap::new();
    for (file, from, to) in source.patch {
        let text = match files.remove(file) {
            Some(text) => text,
            None => {
                fs::read_to_string(sources.join(file)).with_context(|| format!("failed to read {file}"))?
            }
        };
        if !text.contains(from) {
            bail!("{file} no longer has the text to be replaced:\n{from}");
        }
        files.insert(*file, text.replace(from, to));
    }
    Ok(files)
}

/// Files of the copy that lack a mechanism, as they were. Whole again when it is dropped.
#[derive(Default)]
pub struct Patched(Vec<(PathBuf, String)>);

impl Drop for Patched {
    fn drop(&mut self) {
        for (path, original) in &self.0 {
            // The next `Copy::make` would see to it as well.
            let _ = fs::write(path, original);
        }
    }
}
