//! Test databases: each test its own, many processes at once.

use devpg::{TestDb, eventually};
use sqlx::{
    Connection, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};
use std::process::{Command, Stdio};

fn migrator() -> Migrator {
    let sql = "create table greetings (word text not null); insert into greetings values ('hello')";
    Migrator::with_migrations(vec![Migration::new(
        1,
        "greetings".into(),
        MigrationType::Simple,
        sql.into_sql_str(),
        false,
    )])
}

#[tokio::test]
async fn a_test_database_is_migrated_and_its_own() {
    let (one, other) = (
        TestDb::create(&migrator()).await,
        TestDb::create(&migrator()).await,
    );
    sqlx::query("insert into greetings values ('hi')")
        .execute(one.pool())
        .await
        .expect("an insert");
    let count = "select count(*) from greetings";
    let in_one: i64 = sqlx::query_scalar(count)
        .fetch_one(one.pool())
        .await
        .expect("a count");
    let in_other: i64 = sqlx::query_scalar(count)
        .fetch_one(other.pool())
        .await
        .expect("a count");
    assert_eq!((in_one, in_other), (2, 1));
}

#[tokio::test]
async fn an_empty_database_is_empty() {
    let database = TestDb::create_empty().await;
    let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
        .fetch_one(database.pool())
        .await
        .expect("a count");
    assert_eq!(tables, 0);
    database.close().await;
}

#[tokio::test]
async fn a_dropped_test_database_is_gone_even_with_sessions_in_it() {
    let watcher = TestDb::create(&migrator()).await;
    let database = TestDb::create(&migrator()).await;
    let mut session = database.connect().await;
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut session)
        .await
        .expect("a name");
    drop(database);
    let left: i64 = sqlx::query_scalar("select count(*) from pg_database where datname = $1")
        .bind(&name)
        .fetch_one(watcher.pool())
        .await
        .expect("a count");
    assert_eq!(left, 0, "{name} is still there");
    assert!(session.ping().await.is_err());
}

/// Not a test of its own: one of the processes of the test below.
#[tokio::test]
#[ignore = "run by many_processes_share_one_server"]
async fn one_of_many_processes() {
    let database = TestDb::create(&migrator()).await;
    let words: i64 = sqlx::query_scalar("select count(*) from greetings")
        .fetch_one(database.pool())
        .await
        .expect("a count");
    assert_eq!(words, 1);
}

#[test]
fn many_processes_share_one_server() {
    // A temporary folder of its own makes it a server of its own: no other test may have started it before.
    let home = std::env::temp_dir().join(format!("dp{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a folder");
    let run = |_| {
        Command::new(std::env::current_exe().expect("our own path"))
            .args(["--ignored", "--exact", "test_databases::one_of_many_processes"])
            .env("TMPDIR", &home)
            .env("DEVPG_IDLE", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process")
    };
    // The second round meets the server as it stops, or just before or after.
    for round in 0..3 {
        let processes: Vec<_> = (0..12).map(run).collect();
        for process in processes {
            let output = process.wait_with_output().expect("its end");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "round {round}: {text}");
            assert!(text.contains("1 passed"), "round {round}: {text}");
        }
        std::thread::sleep(std::time::Duration::from_millis(900 + 60 * round));
    }
    // And when the last one has gone, the server goes too.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(eventually("the shared server to stop", async || {
        let homes = std::fs::read_dir(&home).map_err(|error| error.to_string())?;
        let servers: Vec<_> = homes.flatten().map(|entry| entry.path().join("server")).collect();
        match servers.iter().all(|server| !server.exists()) {
            true => Ok(()),
            false => Err(format!("{servers:?}")),
        }
    }));
    std::fs::remove_dir_all(&home).expect("an empty folder");
}
