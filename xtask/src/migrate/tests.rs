//! Both ways of migrating agree, in either order.

use super::{check, database, sync};
use anyhow::Result;
use devpg::TestDb;
use sqlx::{Connection, Executor, migrate::Migrator};
use std::{fs, path::PathBuf, process};

/// An application's migrations folder, with a migration of its own.
struct Application(PathBuf);

impl Application {
    fn new(name: &str) -> Application {
        let folder = std::env::temp_dir().join(format!("sqlxmq-sync-{}-{name}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(
            folder.join("20200101000000_users.sql"),
            "create table users (id bigint primary key);",
        )
        .expect("a file");
        Application(folder)
    }

    /// What `sqlx migrate run` does.
    async fn migrate(&self, database: &TestDb) -> Result<()> {
        let mut connection = database.connect().await;
        Migrator::new(self.0.clone()).await?.run(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn tables(database: &TestDb) -> i64 {
    sqlx::query_scalar("select count(*) from pg_tables where tablename in ('mq_jobs', 'users')")
        .fetch_one(database.pool())
        .await
        .expect("a count")
}

#[tokio::test]
async fn a_synced_folder_is_complete_and_stays_as_it_is() -> Result<()> {
    let application = Application::new("stays");
    assert!(!check::folder(&application.0).await?.is_empty());
    sync::sync(&application.0).await?;
    assert_eq!(check::folder(&application.0).await?, Vec::<String>::new());
    let before = sync::file_names(&application.0)?;
    sync::sync(&application.0).await?;
    assert_eq!(sync::file_names(&application.0)?, before);

    // One file changed, one gone, one from somewhere else.
    fs::write(application.0.join(&before[1]), "select 1;")?;
    fs::remove_file(application.0.join(&before[2]))?;
    fs::write(application.0.join("20200101000010_sqlxmq_9999_future.sql"), "")?;
    let complaints = check::folder(&application.0).await?.join("\n");
    assert!(
        complaints.contains(&format!("changed: {}", before[1])),
        "{complaints}"
    );
    assert!(complaints.contains("missing: 0020_"), "{complaints}");
    assert!(
        complaints.contains("unknown: 20200101000010_sqlxmq_9999_future.sql"),
        "{complaints}"
    );
    assert!(
        sync::sync(&application.0).await.is_err(),
        "a changed file is an error"
    );
    assert_eq!(
        fs::read_to_string(application.0.join(&before[1]))?,
        "select 1;",
        "and is not rewritten"
    );
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_written_behind_those_that_build_on_it() -> Result<()> {
    let application = Application::new("gone");
    sync::sync(&application.0).await?;
    let names = sync::file_names(&application.0)?;
    let content = fs::read_to_string(application.0.join(&names[1]))?;
    fs::remove_file(application.0.join(&names[1]))?;
    let error = sync::sync(&application.0).await.expect_err("one is gone");
    assert!(error.to_string().contains("0010_keys.sql"), "{error}");
    assert_eq!(sync::file_names(&application.0)?.len(), names.len() - 1);

    fs::write(application.0.join("20991231235959_sqlxmq_0010_keys.sql"), content)?;
    let complaint = format!(
        "out of order: 20991231235959_sqlxmq_0010_keys.sql must come before {}",
        names[2]
    );
    assert_eq!(check::folder(&application.0).await?, [complaint]);
    Ok(())
}

#[tokio::test]
async fn a_database_migrated_by_the_application_has_nothing_left_to_apply() -> Result<()> {
    let (application, database) = (Application::new("first"), TestDb::create_empty().await);
    sync::sync(&application.0).await?;
    assert!(!check::database(database.url()).await?.is_empty());
    application.migrate(&database).await?;
    assert_eq!(check::database(database.url()).await?, Vec::<String>::new());
    database::apply(database.url()).await?;
    application.migrate(&database).await?;
    assert_eq!(tables(&database).await, 2);
    Ok(())
}

#[tokio::test]
async fn a_database_migrated_by_us_is_left_alone_by_the_applications_files() -> Result<()> {
    let (application, database) = (Application::new("second"), TestDb::create_empty().await);
    database::apply(database.url()).await?;
    sync::sync(&application.0).await?;
    application.migrate(&database).await?;
    assert_eq!(check::database(database.url()).await?, Vec::<String>::new());
    assert_eq!(tables(&database).await, 2);
    Ok(())
}

#[tokio::test]
async fn a_changed_migration_is_noticed_in_a_database() -> Result<()> {
    let (application, database) = (Application::new("third"), TestDb::create_empty().await);
    database::apply(database.url()).await?;
    database
        .pool()
        .execute("update mq_migrations set checksum = '\\x00' where version = 10")
        .await?;
    let complaints = check::database(database.url()).await?;
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].starts_with("changed: 0010_"), "{complaints:?}");
    sync::sync(&application.0).await?;
    assert!(application.migrate(&database).await.is_err());
    Ok(())
}

#[tokio::test]
async fn both_ways_at_once_wait_for_each_other() -> Result<()> {
    let (application, database) = (Application::new("both"), TestDb::create_empty().await);
    sync::sync(&application.0).await?;
    let (theirs, ours) = tokio::join!(application.migrate(&database), database::apply(database.url()));
    theirs?;
    ours?;
    assert_eq!(check::database(database.url()).await?, Vec::<String>::new());
    assert_eq!(tables(&database).await, 2);
    Ok(())
}
