//! A server ends with its owner, however that ends.

use devpg::{DevPg, eventually};
use sqlx::{Connection, PgConnection};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

async fn value(url: &str, query: &'static str) -> Result<i32, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let value = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(value)
}

/// A process that owns a server, and the server's folder.
fn owner() -> (Child, PathBuf) {
    let mut owner = undeafened(env!("CARGO_BIN_EXE_devpg"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the devpg program");
    let mut url = String::new();
    BufReader::new(owner.stdout.take().expect("piped"))
        .read_line(&mut url)
        .expect("a URL");
    let (_, root) = url
        .trim()
        .split_once("?host=")
        .expect("a URL with a socket folder");
    (owner, root.into())
}

/// A command that hears Ctrl-C even if the tests run in the background of a shell, which makes all below ignore it.
fn undeafened(program: &str) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", program]);
        command
    } else {
        Command::new(program)
    }
}

async fn gone(root: &Path) {
    eventually("the server's folder to be removed", async || {
        match root.exists() {
            true => Err(format!("{} is there", root.display())),
            false => Ok(()),
        }
    })
    .await;
}

async fn is_gone_after(signal: &str) {
    let (mut owner, root) = owner();
    assert!(root.join("data/postmaster.pid").exists());
    let postmaster: String = std::fs::read_to_string(root.join("data/postmaster.pid")).expect("a pid file");
    let pid = postmaster.lines().next().expect("a pid").trim().to_owned();
    Command::new("kill")
        .arg(signal)
        .arg(owner.id().to_string())
        .status()
        .expect("kill");
    owner.wait().expect("the owner to end");
    gone(&root).await;
    let alive = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid])
        .output()
        .expect("ps")
        .stdout;
    let alive = String::from_utf8_lossy(&alive).trim().to_owned();
    assert!(
        alive.is_empty() || alive.starts_with('Z'),
        "postgres {pid} is alive: {alive}"
    );
}

#[tokio::test]
async fn a_server_is_gone_after_kill_9() {
    is_gone_after("-KILL").await;
}

#[tokio::test]
async fn a_server_is_gone_after_sigterm() {
    is_gone_after("-TERM").await;
}

#[tokio::test]
async fn a_server_is_gone_after_ctrl_c() {
    is_gone_after("-INT").await;
}

/// Some of the kills come between the start of a program and the next thing its owner does.
#[tokio::test]
async fn an_owner_that_is_killed_while_it_starts_a_server_leaves_nothing_behind() {
    let temp_dir = PathBuf::from(format!("/tmp/devpg-killed-{}", std::process::id()));
    std::fs::create_dir(&temp_dir).expect("a folder");
    for milliseconds in 0..60 {
        let mut owner = Command::new(env!("CARGO_BIN_EXE_devpg"))
            .env("TMPDIR", &temp_dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("the devpg program");
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        owner.kill().expect("kill");
        owner.wait().expect("the owner to end");
    }
    eventually("watchdogs and servers to end", async || {
        let all = Command::new("ps").args(["-e", "-o", "args="]).output();
        let all = String::from_utf8_lossy(&all.expect("ps").stdout).into_owned();
        match all
            .lines()
            .find(|line| line.contains(temp_dir.to_str().expect("text")))
        {
            Some(line) => Err(format!("`{line}` runs")),
            None => Ok(()),
        }
    })
    .await;
    let left: Vec<_> = std::fs::read_dir(&temp_dir)
        .expect("the folder")
        .flatten()
        .collect();
    std::fs::remove_dir_all(&temp_dir).expect("to remove the folder");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_server_is_gone_when_its_value_is_dropped() {
    let server = DevPg::start().expect("a server");
    assert_eq!(
        value(&server.url("postgres"), "select 1").await.expect("a row"),
        1
    );
    let root = server.root().to_owned();
    drop(server);
    assert!(!root.exists());
}

#[tokio::test]
async fn a_server_takes_settings_and_survives_a_crash_with_what_was_durable() {
    let mut server = DevPg::builder()
        .durable()
        .setting("max_connections", "23")
        .start()
        .expect("a server");
    let url = server.url("postgres");
    let connections = "select setting::int from pg_settings where name = 'max_connections'";
    assert_eq!(value(&url, connections).await.expect("a row"), 23);
    let fsync = "select (setting = 'on')::int from pg_settings where name = 'fsync'";
    assert_eq!(value(&url, fsync).await.expect("a row"), 1);
    assert_eq!(
        value(&url, "with t as (select 1) select 7").await.expect("a row"),
        7
    );
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    sqlx::raw_sql("create table kept as select 42 as answer")
        .execute(&mut connection)
        .await
        .expect("a table");

    server.restart_immediately().expect("a restart");

    assert!(
        sqlx::raw_sql("select 1").execute(&mut connection).await.is_err(),
        "the session went with the crash"
    );
    assert_eq!(
        value(&url, "select answer from kept").await.expect("the table"),
        42
    );
}

#[test]
fn a_folder_without_a_server_is_an_error_that_names_it() {
    let error = DevPg::builder()
        .bin_dir("/nowhere/bin")
        .start()
        .expect_err("no server there");
    assert_eq!(
        error.to_string(),
        "no `initdb` and `postgres` in /nowhere/bin, where PG_BIN or `bin_dir` says they are"
    );
}
