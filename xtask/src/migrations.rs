//! The repository's migrations, as xtask sees them: read from the folder now, not compiled in.

use crate::shell;
use anyhow::{Context, Result};
use sqlx::migrate::Migrator;
use std::{fs, path::PathBuf};

/// The table that says which migrations a database has. The application's own is `_sqlx_migrations`.
pub const BOOKKEEPING: &str = "mq_migrations";

/// One file of `migrations/`.
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// Its file's name, `0010_keys.sql`.
    pub file_name: String,
    /// What sqlx makes of the name, `keys`.
    pub description: String,
    /// Its statements.
    pub sql: String,
    /// What sqlx computes to see that a file has changed.
    pub checksum: Vec<u8>,
}

/// Where the migrations are.
pub fn folder() -> PathBuf {
    shell::root().join("migrations")
}

/// The migrations for sqlx, with our bookkeeping table.
pub async fn migrator() -> Result<Migrator> {
    let mut migrator = Migrator::new(folder())
        .await
        .context("failed to read the migrations")?;
    migrator.dangerous_set_table_name(BOOKKEEPING);
    Ok(migrator)
}

/// All migrations, in order.
pub async fn all() -> Result<Vec<Migration>> {
    let mut file_names = Vec::new();
    for entry in fs::read_dir(folder()).context("failed to list the migrations")? {
        file_names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let migrator = migrator().await?;
    let mut migrations = Vec::new();
    for migration in migrator.iter() {
        let suffix = format!("_{}.sql", migration.description.replace(' ', "_"));
        let file_name = file_names
            .iter()
            .find(|name| name.ends_with(&suffix) && name.starts_with(&format!("{:04}", migration.version)))
            .with_context(|| format!("migration {} has no file NNNN{suffix}", migration.version))?;
        migrations.push(Migration {
            version: migration.version,
            file_name: file_name.clone(),
            description: migration.description.to_string(),
            sql: fs::read_to_string(folder().join(file_name))?,
            checksum: migration.checksum.to_vec(),
        });
    }
    Ok(migrations)
}
