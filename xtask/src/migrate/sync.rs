//! Our migrations as files of an application's migrations folder.
//!
//! A file is known by the end of its name, `_sqlxmq_0010_keys.sql`; the timestamp before it is given once and
//! stays. Each file notes itself in `mq_migrations` and does nothing where it is noted already, so that
//! `sqlx migrate run` and `sqlxmq::migrate` may both be used, in either order.

use crate::migrations::{self, BOOKKEEPING, Migration};
use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use std::{fs, path::Path};

const TIMESTAMP: &str = "%Y%m%d%H%M%S";

/// Writes the files that `folder` lacks.
///
/// # Errors
///
/// If a file is there with other content: it may have been applied, so it is never rewritten. If one is gone that
/// later ones build on: a new one would come after them.
pub async fn sync(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let mut changed = Vec::new();
    let mut gone = Vec::new();
    let mut written = 0;
    let migrations = migrations::all().await?;
    for (index, migration) in migrations.iter().enumerate() {
        let present = file_names(folder)?;
        match present.iter().find(|name| name.ends_with(&suffix(migration))) {
            Some(name) if fs::read_to_string(folder.join(name))? == render(migration)? => {}
            Some(name) => changed.push(name.clone()),
            None if migrations[index..]
                .iter()
                .any(|later| present.iter().any(|name| name.ends_with(&suffix(later)))) =>
            {
                gone.push(migration.file_name.clone());
            }
            None => {
                let name = format!("{}{}", next_version(&present, Utc::now()), suffix(migration));
                fs::write(folder.join(&name), render(migration)?)?;
                println!("wrote {name}");
                written += 1;
            }
        }
    }
    if !changed.is_empty() {
        bail!(
            "not rewritten, because they may have been applied already:\n{}",
            changed.join("\n")
        );
    }
    if !gone.is_empty() {
        bail!(
            "not written, because later ones are there and build on them (get them back from version control):\n{}",
            gone.join("\n")
        );
    }
    println!("{written} new migrations in {}", folder.display());
    Ok(())
}

/// How the name of a migration's file in an application's folder ends.
pub fn suffix(migration: &Migration) -> String {
    format!("_sqlxmq_{}", migration.file_name)
}

/// The names of the files in `folder`, sorted.
pub fn file_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A timestamp for the next file: now, or a second after the latest one that is there.
fn next_version(present: &[String], now: DateTime<Utc>) -> String {
    let latest = present
        .iter()
        .filter_map(|name| NaiveDateTime::parse_from_str(name.split('_').next()?, TIMESTAMP).ok())
        .max();
    let now = now.naive_utc();
    let next = latest.map_or(now, |latest| now.max(latest + TimeDelta::seconds(1)));
    next.format(TIMESTAMP).to_string()
}

/// The file's content. The same for everybody and for ever, so that `--check` can compare it.
pub fn render(migration: &Migration) -> Result<String> {
    let tag = format!("$mq_{:04}$", migration.version);
    let guard = format!("$mq_{:04}_guard$", migration.version);
    if migration.sql.contains(&tag) || migration.sql.contains(&guard) {
        bail!("{} contains {tag}, which quotes it", migration.file_name);
    }
    if migration.sql.starts_with("-- no-transaction") {
        bail!(
            "{} must run outside a transaction, which a guarded file can't",
            migration.file_name
        );
    }
    let Migration {
        version,
        file_name,
        description,
        sql,
        checksum,
    } = migration;
    let description = description.replace('\'', "''");
    let checksum: String = checksum.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(
        r#"-- {file_name} of sqlxmq, written by `cargo xtask migrate --sync`. Do not edit.
-- It does nothing where `sqlxmq::migrate` has applied it already, and notes itself for it otherwise.
do {guard}
declare
  search_path_before constant text := current_setting('search_path');
  noted bytea;
begin
  -- The lock of `sqlxmq::migrate`, which may run at the same time.
  perform pg_advisory_xact_lock(
    ('x' || left(encode(sha256(convert_to('sqlxmq migrate ' || current_schema(), 'UTF8')), 'hex'), 16))::bit(64)::bigint
  );
  create table if not exists {BOOKKEEPING} (
    version bigint primary key,
    description text not null,
    installed_on timestamptz not null default now(),
    success boolean not null,
    checksum bytea not null,
    execution_time bigint not null
  );
  select m.checksum into noted from {BOOKKEEPING} as m where m.version = {version};
  if noted is null then
    execute {tag}
{sql}{tag};
    perform set_config('search_path', search_path_before, true);
    insert into {BOOKKEEPING} (version, description, success, checksum, execution_time)
    values ({version}, '{description}', true, '\x{checksum}', 0);
  elsif noted <> '\x{checksum}' then
    raise exception 'migration {version} of sqlxmq was applied to this database with other content';
  end if;
end
{guard};
"#
    ))
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_new_file_comes_after_those_that_are_there() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        assert_eq!(next_version(&[], now), "20231114221320");
        let earlier = ["20200101000000_users.sql".to_owned(), "notes.txt".to_owned()];
        assert_eq!(next_version(&earlier, now), "20231114221320");
        let later = ["20231114221320_sqlxmq_0010_keys.sql".to_owned()];
        assert_eq!(next_version(&later, now), "20231114221321");
        let future = ["20991231235959_far_ahead.sql".to_owned()];
        assert_eq!(next_version(&future, now), "21000101000000");
    }
}
