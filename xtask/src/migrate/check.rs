//! What is missing or changed, in an application's folder or in a database. Changes neither.

use super::{database, sync};
use crate::migrations;
use anyhow::Result;
use std::{collections::BTreeMap, fs, path::Path};

/// Complaints about an application's migrations folder.
pub async fn folder(folder: &Path) -> Result<Vec<String>> {
    let mut present = sync::file_names(folder)?;
    present.retain(|name| name.contains("_sqlxmq_"));
    let mut complaints = Vec::new();
    let mut last = String::new();
    for migration in migrations::all().await? {
        let found = present
            .iter()
            .position(|name| name.ends_with(&sync::suffix(&migration)));
        let Some(found) = found else {
            complaints.push(format!("missing: {}", migration.file_name));
            continue;
        };
        let name = present.remove(found);
        if fs::read_to_string(folder.join(&name))? != sync::render(&migration)? {
            complaints.push(format!("changed: {name}"));
        }
        if name < last {
            complaints.push(format!("out of order: {last} must come before {name}"));
        }
        last = name;
    }
    complaints.extend(present.iter().map(|name| format!("unknown: {name}")));
    Ok(complaints)
}

/// Complaints about a database.
pub async fn database(url: &str) -> Result<Vec<String>> {
    let mut applied: BTreeMap<i64, Vec<u8>> = database::applied(url).await?.into_iter().collect();
    let mut complaints = Vec::new();
    for migration in migrations::all().await? {
        match applied.remove(&migration.version) {
            None => complaints.push(format!("missing: {}", migration.file_name)),
            Some(checksum) if checksum != migration.checksum => {
                complaints.push(format!("changed: {}", migration.file_name));
            }
            Some(_) => {}
        }
    }
    complaints.extend(
        applied
            .keys()
            .map(|version| format!("unknown: migration {version}")),
    );
    Ok(complaints)
}
