//! A real PgBouncer in front of the server, used as `docs/operations.md` says.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlx::{Connection, PgConnection, PgPool};

use tokio_util::task::TaskTracker;

use super::support::{busy_runner, check_effects, make_tables, pool, spawn_until, until_done, until_more};
use crate::support::queue;

/// The first version that knows prepared statements in transaction mode.
const KNOWS_STATEMENTS: (u32, u32) = (1, 21);

/// A pooler, gone with the value.
struct Bouncer {
    process: Child,
    folder: PathBuf,
    url: String,
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program: not everybody's path has `/usr/sbin`.
fn pgbouncer() -> Command {
    let everywhere = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("env");
    command.arg(format!("PATH={everywhere}")).arg("pgbouncer");
    command
}

/// The version of the PgBouncer on this machine.
fn version() -> Option<(u32, u32)> {
    let output = pgbouncer().arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.lines().next()?.split_whitespace().last()?.to_owned();
    let mut parts = number.split('.').map_while(|part| part.parse().ok());
    Some((parts.next()?, parts.next()?))
}

/// Says why a test was not run.
fn skip(why: &str) {
    eprintln!("skipped, since {why}: on Debian and Ubuntu, apt-get install pgbouncer");
}

impl Bouncer {
    async fn start(db: &TestDb, version: (u32, u32), mode: &str) -> Self {
        let (address, socket) = db.url().split_once("?host=").expect("a URL with a socket folder");
        let (_, database) = address.rsplit_once('/').expect("a database");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let folder = std::env::temp_dir().join(format!("bouncer-{port}"));
        std::fs::create_dir(&folder).expect("a folder");
        let statements = match version >= KNOWS_STATEMENTS {
            true => "max_prepared_statements = 200\n",
            false => "",
        };
        let settings = format!(
            "[databases]\n* = host={socket} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 20\n\
             ignore_startup_parameters = extra_float_digits\n{statements}"
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("a file");
        // It refuses to run as root, and has to open the server's socket.
        let owner = std::fs::metadata(format!("{socket}/.s.PGSQL.5432"))
            .expect("the server's socket")
            .uid();
        let own = std::fs::metadata(&folder).expect("the folder").uid();
        let mut command = pgbouncer();
        if owner != own {
            use std::os::unix::process::CommandExt;
            command.uid(owner);
        }
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        let process = command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("pgbouncer");
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}");
        let bouncer = Self { process, folder, url };
        eventually("the pooler", async || {
            match PgConnection::connect(&bouncer.url).await {
                Ok(connection) => connection.close().await.map_err(|error| error.to_string()),
                Err(error) => {
                    let log = std::fs::read_to_string(bouncer.folder.join("log")).unwrap_or_default();
                    Err(format!("{error}\n{log}"))
                }
            }
        })
        .await;
        bouncer
    }
}

/// Spawns and runs jobs through a pool for a while, then checks their effects.
async fn works(db: &TestDb, pool: &PgPool, options: &mut sqlxmq_core::JobRunnerOptions) {
    make_tables(db.pool()).await;
    let mut handle = options.set_concurrency(8, 16).run().await.expect("a runner");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let spawning = TaskTracker::new().spawn(spawn_until(pool.clone(), stopped));
    until_more(db.pool(), 30).await;
    stop.send(()).expect("a spawner");
    let acknowledged = spawning.await.expect("a spawner");
    until_done(db.pool()).await;
    check_effects(db.pool(), &acknowledged).await;
    handle.stop().await;
}

#[tokio::test]
async fn jobs_are_spawned_and_run_through_a_pooler_while_their_runner_goes_round_it() {
    let Some(version) = version() else {
        return skip("there is no PgBouncer");
    };
    let db = queue().await;
    // Older ones need session mode.
    let mode = match version >= KNOWS_STATEMENTS {
        true => "transaction",
        false => "session",
    };
    let bouncer = Bouncer::start(&db, version, mode).await;
    let pooled = pool(&bouncer.url).await;
    let mut options = busy_runner(&pooled, Duration::from_millis(20));
    works(&db, &pooled, options.set_direct_url(db.url())).await;
}

#[tokio::test]
async fn a_runner_that_does_not_listen_works_through_a_transaction_pooler() {
    let version = match version() {
        Some(version) if version >= KNOWS_STATEMENTS => version,
        Some((major, minor)) => {
            return skip(&format!(
                "PgBouncer {major}.{minor} is older than 1.21, which knows prepared statements"
            ));
        }
        None => return skip("there is no PgBouncer"),
    };
    let db = queue().await;
    let bouncer = Bouncer::start(&db, version, "transaction").await;
    let pooled = pool(&bouncer.url).await;
    let mut options = busy_runner(&pooled, Duration::from_millis(20));
    works(&db, &pooled, options.set_listen(false)).await;
    let settings: Vec<String> = sqlx::query_scalar(
        "select application_name from pg_stat_activity where datname = current_database() and query like 'listen%'",
    )
    .fetch_all(db.pool())
    .await
    .expect("the sessions");
    assert!(
        settings.is_empty(),
        "a session that somebody else uses next listens: {settings:?}"
    );
}

#[tokio::test]
async fn sql_spawns_through_a_transaction_pooler_of_any_age() {
    let Some(version) = version() else {
        return skip("there is no PgBouncer");
    };
    let db = queue().await;
    let bouncer = Bouncer::start(&db, version, "transaction").await;
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(PgConnection::connect(&bouncer.url).await.expect("a connection"));
    }
    for _ in 0..3 {
        for connection in &mut connections {
            sqlx::raw_sql("select mq_spawn('given')")
                .execute(connection)
                .await
                .expect("a spawned job");
        }
    }
    let jobs: i64 = sqlx::query_scalar("select count(*) from mq_ready_jobs")
        .fetch_one(db.pool())
        .await
        .expect("the jobs");
    assert_eq!(jobs, 30);
}
