//! A copy of the checkout whose sources can be changed: nobody's work is touched, and what it builds stays built.

use super::sources::Source;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::{
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
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (shell::root().join(name), root.join(name));
            // Listed by git, and removed since.
            let Ok(metadata) = fs::symlink_metadata(&from) else {
                continue;
            };
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
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
        Ok(Copy { root })
    }

    /// Where the copy is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes a mechanism away until the value is dropped.
    pub fn without<'a>(&'a self, source: &Source) -> Result<Patched<'a>> {
        let file = self.root.join("crates/sqlxmq-core/src").join(source.file);
        let original = fs::read_to_string(&file)?;
        fs::write(&file, patched(source, &original)?)?;
        Ok(Patched {
            file,
            original,
            _copy: self,
        })
    }
}

/// A source without its mechanism.
pub fn patched(source: &Source, original: &str) -> Result<String> {
    let mut text = original.to_owned();
    for (from, to) in source.patch {
        if !text.contains(from) {
            bail!("{} no longer has the text to be replaced:\n{from}", source.file);
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

/// A file of the copy that lacks a mechanism. Whole again when it is dropped.
pub struct Patched<'a> {
    file: PathBuf,
    original: String,
    _copy: &'a Copy,
}

impl Drop for Patched<'_> {
    fn drop(&mut self) {
        // The next `Copy::make` would see to it as well.
        let _ = fs::write(&self.file, &self.original);
    }
}
