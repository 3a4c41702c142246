//! `cargo xtask schema`: docs/schema.sql, what the migrations add up to, for readers and reviewers.
//!
//! Made from the catalogs rather than with pg_dump, whose output differs between majors.

mod catalog;

use crate::{migrations, readme::first_difference, shell};
use anyhow::{Context, Result, bail};
use sqlx::{Connection, PgConnection};
use std::{fs, path::PathBuf};

/// Dump the schema that the migrations add up to into docs/schema.sql
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if docs/schema.sql is stale.
    #[arg(long)]
    check: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check {
        return check();
    }
    let path = path();
    fs::create_dir_all(path.parent().expect("it is in docs"))?;
    fs::write(path, generate()?).context("failed to write docs/schema.sql")
}

/// Fails if docs/schema.sql is stale.
pub fn check() -> Result<()> {
    let present = fs::read_to_string(path()).unwrap_or_default();
    match first_difference(&present, &generate()?) {
        None => Ok(()),
        Some(difference) => bail!("docs/schema.sql is stale: run `cargo xtask schema`\n{difference}"),
    }
}

fn path() -> PathBuf {
    shell::root().join("docs/schema.sql")
}

fn generate() -> Result<String> {
    let server = devpg::DevPg::start()?;
    shell::block_on(async {
        let mut connection = PgConnection::connect(&server.url("postgres")).await?;
        migrations::migrator().await?.run(&mut connection).await?;
        let dump = catalog::dump(&mut connection).await?;
        connection.close().await?;
        Ok(dump)
    })
}
