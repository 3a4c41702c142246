//! [`TestDb`]: one database per test, cloned from a migrated template.
//!
//! The server is the one in `TEST_DATABASE_URL`, else the shared dev server. A file named by
//! `DEVPG_TEMPLATE_SQL` is run on the template after the migrations: `cargo xtask sabotage` takes mechanisms
//! away with it.

use crate::shared::{SharedServer, fnv};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    env, fs,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Held while a template is built, by one process among all. Any number does; it is only seen on test servers.
const TEMPLATE_LOCK: i64 = 0x6465_7670_6700_0001;
/// Connections of a test's pool. Enough for a test, and small enough for many at once.
const POOL_SIZE: u32 = 10;

/// A migrated database of one's own.
///
/// Dropped with the value; a test that panics leaves it for a look and prints its URL. The shared server itself is gone some
/// seconds after the last test process; set `DEVPG_IDLE` (seconds) to keep it for longer.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    url: String,
    pool: PgPool,
    closed: bool,
}

/// Where test databases are made. Kept for the life of the process.
#[derive(Debug)]
enum Server {
    Given(String),
    Shared(SharedServer),
}

impl TestDb {
    /// Makes a database with `migrator`'s migrations in it, in some ten milliseconds: they are run once per server, on
    /// a template.
    ///
    /// # Panics
    ///
    /// If there is no server, or it refuses; with a message for the person who runs the test.
    pub async fn create(migrator: &Migrator) -> TestDb {
        let template = Template::of(migrator);
        let name = unique_name();
        let mut admin = connect(&server().url("postgres")).await;
        template.build(&mut admin, migrator).await;
        run(
            &mut admin,
            format!(r#"create database "{name}" template "{}""#, template.name),
        )
        .await;
        close(admin).await;
        let url = server().url(&name);
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .acquire_timeout(Duration::from_secs(30))
            .connect(&url)
            .await
            .unwrap_or_else(|error| panic!("failed to connect to {url}: {error}"));
        TestDb {
            name,
            url,
            pool,
            closed: false,
        }
    }

    /// Makes an empty database, for tests of the migrations themselves.
    ///
    /// # Panics
    ///
    /// As [`TestDb::create`].
    pub async fn create_empty() -> TestDb {
        TestDb::create(&Migrator::DEFAULT).await
    }

    /// Returns a pool of up to 10 connections, closed with the database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Returns the URL, for other processes and pools.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens a connection outside the pool, for a session of one's own.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// Drops the database now, whoever is still connected. Dropping the value does the same, but blocks its thread.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn close(mut self) {
        self.closed = true;
        self.pool.close().await;
        drop_database(&self.name).await;
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        if thread::panicking() {
            eprintln!(
                "the database of this test is kept for a look:\n  psql '{}'",
                self.url
            );
            return;
        }
        let name = self.name.clone();
        // A thread of its own, because this one may already be inside a runtime. Best effort: a database left
        // behind goes with the server.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(drop_database(&name));
            }
        });
        let _ = dropping.join();
    }
}

impl Server {
    /// The same server with another database.
    fn url(&self, database: &str) -> String {
        match self {
            Server::Shared(shared) => shared.url(database),
            Server::Given(url) => with_database(url, database),
        }
    }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match env::var("TEST_DATABASE_URL") {
        Ok(url) => Server::Given(url),
        Err(_) => Server::Shared(SharedServer::join().unwrap_or_else(|error| panic!("{error}"))),
    })
}

/// A database that is cloned, never connected to. Its name changes with its content.
struct Template {
    name: String,
    extra_sql: Option<String>,
}

impl Template {
    fn of(migrator: &Migrator) -> Template {
        // An empty database stays empty.
        let is_empty = migrator.iter().next().is_none();
        let extra_sql = env::var_os("DEVPG_TEMPLATE_SQL")
            .filter(|_| !is_empty)
            .map(|path| {
                fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("DEVPG_TEMPLATE_SQL={path:?}: {error}"))
            });
        let mut parts: Vec<&[u8]> = migrator.iter().map(|migration| &*migration.checksum).collect();
        parts.extend(extra_sql.as_deref().map(str::as_bytes));
        Template {
            name: format!("mq_template_{:016x}", fnv(&parts)),
            extra_sql,
        }
    }

    /// Builds the template if it is not there. Processes that come meanwhile wait.
    async fn build(&self, admin: &mut PgConnection, migrator: &Migrator) {
        if self.is_built(admin).await {
            return;
        }
        run(admin, format!("select pg_advisory_lock({TEMPLATE_LOCK})")).await;
        if !self.is_built(admin).await {
            run(
                admin,
                format!(r#"drop database if exists "{}" with (force)"#, self.name),
            )
            .await;
            run(
                admin,
                format!(
                    r#"create database "{}" template template0 encoding 'UTF8'"#,
                    self.name
                ),
            )
            .await;
            let mut connection = connect(&server().url(&self.name)).await;
            // Without migrations not even their bookkeeping table: `create_empty` means it.
            if migrator.iter().next().is_some()
                && let Err(error) = migrator.run(&mut connection).await
            {
                panic!("failed to migrate the template: {}", with_sources(&error));
            }
            if let Some(sql) = &self.extra_sql {
                run(&mut connection, sql.clone()).await;
            }
            // A template is cloned only while nobody is connected to it.
            close(connection).await;
            // The last step marks it as whole: a builder killed half-way leaves a database that is no template.
            run(
                admin,
                format!(
                    r#"alter database "{}" is_template true allow_connections false"#,
                    self.name
                ),
            )
            .await;
        }
        run(admin, format!("select pg_advisory_unlock({TEMPLATE_LOCK})")).await;
    }

    async fn is_built(&self, admin: &mut PgConnection) -> bool {
        sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
            .bind(&self.name)
            .fetch_one(admin)
            .await
            .unwrap_or_else(|error| panic!("failed to look for the template: {error}"))
    }
}

async fn drop_database(name: &str) {
    let mut admin = connect(&server().url("postgres")).await;
    run(
        &mut admin,
        format!(r#"drop database if exists "{name}" with (force)"#),
    )
    .await;
    close(admin).await;
}

async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).unwrap_or_else(|error| panic!("bad URL {url}: {error}"));
    options
        .connect()
        .await
        .unwrap_or_else(|error| panic!("failed to connect to {url}: {error}"))
}

async fn close(connection: PgConnection) {
    // A connection that can't say goodbye is gone as well.
    let _ = connection.close().await;
}

async fn run(connection: &mut PgConnection, sql: String) {
    let result = connection.execute(AssertSqlSafe(sql.clone())).await;
    if let Err(error) = result {
        panic!("{error}\nin: {sql}");
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn with_database(url: &str, database: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = address.split_once("://").unwrap_or(("postgres", address));
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let question_mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}/{database}{question_mark}{query}")
}

/// A name that says which test it belongs to (libtest names the threads), and that no other database has.
fn unique_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let thread = thread::current();
    let test: String = thread
        .name()
        .and_then(|name| name.rsplit("::").next())
        .unwrap_or("main")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(38) // names end at 63 bytes
        .collect();
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_nanos());
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let unique = fnv(&[
        &std::process::id().to_le_bytes(),
        &nanos.to_le_bytes(),
        &number.to_le_bytes(),
    ]);
    format!("t_{test}_{unique:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced_wherever_the_url_ends() {
        assert_eq!(
            with_database("postgres://a:b@host:1/x?ssl=1", "y"),
            "postgres://a:b@host:1/y?ssl=1"
        );
        assert_eq!(with_database("postgres://host/x", "y"), "postgres://host/y");
        assert_eq!(with_database("postgres://host", "y"), "postgres://host/y");
        assert_eq!(
            with_database("postgres:///x?host=/tmp", "y"),
            "postgres:///y?host=/tmp"
        );
    }
}
