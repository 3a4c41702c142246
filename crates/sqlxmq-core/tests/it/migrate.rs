//! Migrating: twice, at once, in the wrong place, and after a failure.

use std::str::FromStr;
use std::time::Duration;

use devpg::TestDb;
use sqlx::migrate::Migrate;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgPool};
use sqlxmq_core::{MigrateError, exists, migrate, migrator};

use crate::support::{job, queue};

async fn applied(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from mq_migrations")
        .fetch_one(pool)
        .await
        .expect("the books")
}

fn all() -> i64 {
    i64::try_from(migrator().iter().count()).expect("a few migrations")
}

/// Migrates, and fails instead of hanging on a lock that somebody kept.
async fn migrate_soon(pool: &PgPool) -> Result<(), MigrateError> {
    tokio::time::timeout(Duration::from_secs(60), migrate(pool))
        .await
        .expect("migrate hangs")
}

/// A pool on the same database with a search path of its own.
async fn pool_in(db: &TestDb, search_path: &str) -> PgPool {
    let options = PgConnectOptions::from_str(db.url())
        .unwrap()
        .options([("search_path", search_path)]);
    PgPoolOptions::new()
        .max_connections(2)
        .connect_with(options)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_database_can_be_migrated_twice_and_with_jobs_in_it() {
    let db = TestDb::create_empty().await;
    migrate(db.pool()).await.unwrap();
    let id = job("mail").spawn(db.pool()).await.unwrap();
    migrate(db.pool()).await.unwrap();
    assert!(exists(db.pool(), id).await.unwrap());
    assert_eq!(applied(db.pool()).await, all());
    db.close().await;
}

#[tokio::test]
async fn processes_that_migrate_at_once_wait_for_each_other() {
    let db = TestDb::create_empty().await;
    let outcomes = tokio::join!(
        migrate_soon(db.pool()),
        migrate_soon(db.pool()),
        migrate_soon(db.pool()),
        migrate_soon(db.pool()),
        migrate_soon(db.pool()),
    );
    for outcome in [outcomes.0, outcomes.1, outcomes.2, outcomes.3, outcomes.4] {
        outcome.unwrap();
    }
    assert_eq!(applied(db.pool()).await, all());
    db.close().await;
}

#[tokio::test]
async fn the_applications_own_migrations_are_not_waited_for() {
    let db = TestDb::create_empty().await;
    let mut application = db.connect().await;
    application.lock().await.unwrap();
    migrate_soon(db.pool()).await.unwrap();
    application.unlock().await.unwrap();
    let is_untouched: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is null")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert!(is_untouched);
    application.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_failed_migration_leaves_neither_lock_nor_half_a_schema() {
    let db = TestDb::create_empty().await;
    db.pool()
        .execute("create table mq_runners (mine text)")
        .await
        .unwrap();
    let error = migrate_soon(db.pool()).await.unwrap_err();
    assert!(
        matches!(error, MigrateError::Apply { version: 20, .. }),
        "{error:?}"
    );
    assert_eq!(applied(db.pool()).await, 1);
    let is_absent: bool = sqlx::query_scalar("select to_regclass('mq_jobs') is null")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert!(is_absent);

    db.pool().execute("drop table mq_runners").await.unwrap();
    migrate_soon(db.pool()).await.unwrap();
    assert_eq!(applied(db.pool()).await, all());
    db.close().await;
}

#[tokio::test]
async fn a_migration_that_is_cut_off_can_be_taken_up_again() {
    let db = TestDb::create_empty().await;
    for milliseconds in [1, 3, 10, 20, 40, 80] {
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), migrate(db.pool())).await;
    }
    migrate_soon(db.pool()).await.unwrap();
    assert_eq!(applied(db.pool()).await, all());
    db.close().await;
}

#[tokio::test]
async fn a_newer_or_changed_database_is_refused_and_left_alone() {
    let db = queue().await;
    let book = async |sql: &str| {
        db.pool().execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        let error = migrate_soon(db.pool()).await.unwrap_err();
        assert!(!error.is_transient());
        error
    };
    let error = book("insert into mq_migrations select 9999, 'later', now(), true, '', 0").await;
    assert!(
        matches!(error, MigrateError::NewerDatabase { version: 9999, .. }),
        "{error:?}"
    );
    // The queue can be used: it is newer, and that is all.
    job("mail").spawn(db.pool()).await.unwrap();

    let error = book("update mq_migrations set version = 0 where version = 9999").await;
    assert!(
        matches!(error, MigrateError::UnknownMigration { version: 0 }),
        "{error:?}"
    );
    let error = book(
        "delete from mq_migrations where version = 0;
         update mq_migrations set checksum = 'other' where version = 20",
    )
    .await;
    assert!(
        matches!(error, MigrateError::ChangedMigration { version: 20 }),
        "{error:?}"
    );
    db.close().await;
}

#[tokio::test]
async fn the_queue_lives_in_the_first_schema_of_the_search_path() {
    let db = TestDb::create_empty().await;
    let pool = pool_in(&db, "\"My Jobs\"").await;
    let error = migrate(&pool).await.unwrap_err();
    assert!(matches!(error, MigrateError::NoSchema), "{error:?}");

    db.pool().execute("create schema \"My Jobs\"").await.unwrap();
    // Two queues in one database know nothing of each other.
    let (one, other) = tokio::join!(migrate_soon(&pool), migrate_soon(db.pool()));
    one.unwrap();
    other.unwrap();
    let id = job("mail").set_ordered(true).spawn(&pool).await.unwrap();
    assert!(exists(&pool, id).await.unwrap());
    assert!(!exists(db.pool(), id).await.unwrap());
    pool.close().await;
    db.close().await;
}

#[tokio::test]
async fn settings_of_the_role_do_not_stop_a_migration() {
    let db = TestDb::create_empty().await;
    let options = PgConnectOptions::from_str(db.url()).unwrap().options([
        ("statement_timeout", "1"),
        ("lock_timeout", "1"),
        ("idle_in_transaction_session_timeout", "1"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_deferrable", "on"),
        ("standard_conforming_strings", "off"),
        ("plpgsql.variable_conflict", "use_column"),
        ("check_function_bodies", "on"),
    ]);
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    migrate_soon(&pool).await.unwrap();
    pool.close().await;
    job("mail").set_ordered(true).spawn(db.pool()).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_server_that_can_not_be_reached_is_a_transient_error() {
    let options = PgConnectOptions::new_without_pgpass()
        .host("/nonexistent")
        .socket("/nonexistent")
        .database("none");
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let error = migrate(&pool).await.unwrap_err();
    assert!(matches!(&error, MigrateError::Connect { .. }), "{error:?}");
    assert!(error.is_transient());
}
