//! The server that everything is measured on, and a fresh database for each case.

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    cell::{Cell, RefCell},
    fs,
};
use tokio::runtime::Runtime;

/// Beside durable commits: memory as a small server in production has it, and no checkpoint forced by size in the middle of a run.
/// Everything else as PostgreSQL has it, autovacuum among it.
const SETTINGS: [(&str, &str); 3] = [
    ("shared_buffers", "2GB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "15min"),
];

/// A durable server.
pub struct Site {
    server: devpg::DevPg,
    runtime: Runtime,
    databases: Cell<usize>,
    admin: RefCell<PgConnection>,
}

impl Site {
    /// Starts it; with `counting` it can count statements, where a database asks for it.
    pub fn start(counting: bool) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            bail!("the benchmark reads /proc: it runs on Linux only");
        }
        let mut builder = devpg::DevPg::builder().durable();
        for (name, value) in SETTINGS {
            builder = builder.setting(name, value);
        }
        if counting {
            builder = builder
                .setting("shared_preload_libraries", "pg_stat_statements")
                .setting("pg_stat_statements.track", "none");
        }
        let server = builder.start()?;
        let runtime = Runtime::new()?;
        let admin = runtime.block_on(PgConnection::connect(&server.url("postgres")))?;
        Ok(Self {
            server,
            runtime,
            databases: Cell::new(0),
            admin: RefCell::new(admin),
        })
    }

    /// The settings that are not the server's defaults, for the report.
    pub fn settings() -> String {
        let durable = "fsync, synchronous_commit and full_page_writes on";
        let others: Vec<_> = SETTINGS
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        format!("{durable}, {}", others.join(", "))
    }

    /// What the server says it is.
    pub fn version(&self) -> Result<String> {
        let mut admin = self.admin.borrow_mut();
        Ok(self
            .runtime
            .block_on(sqlx::query_scalar("show server_version").fetch_one(&mut *admin))?)
    }

    /// The process that all others of the server are children of.
    pub fn postmaster(&self) -> Result<u32> {
        let file = fs::read_to_string(self.server.root().join("data/postmaster.pid"))?;
        let first = file.lines().next().context("postmaster.pid is empty")?;
        Ok(first.trim().parse()?)
    }

    /// An empty database, dropped with the value.
    pub fn database(&self) -> Result<Database<'_>> {
        let number = self.databases.get();
        self.databases.set(number + 1);
        let name = format!("bench_{number}");
        self.administer(format!("create database {name}"))?;
        let url = self.server.url(&name);
        let connection = self.connect(&url)?;
        Ok(Database {
            site: self,
            name,
            url,
            connection: RefCell::new(connection),
        })
    }

    fn connect(&self, url: &str) -> Result<PgConnection> {
        Ok(self.runtime.block_on(PgConnection::connect(url))?)
    }

    fn administer(&self, sql: String) -> Result<()> {
        let mut admin = self.admin.borrow_mut();
        self.runtime.block_on(admin.execute(AssertSqlSafe(sql)))?;
        Ok(())
    }
}

/// A database of one case, and a connection to it.
pub struct Database<'a> {
    site: &'a Site,
    name: String,
    pub url: String,
    connection: RefCell<PgConnection>,
}

impl Database<'_> {
    pub fn site(&self) -> &Site {
        self.site
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connection.borrow_mut();
        let executed = self
            .site
            .runtime
            .block_on(connection.execute(AssertSqlSafe(sql.to_owned())));
        executed.with_context(|| sql.to_owned())?;
        Ok(())
    }

    pub fn number(&self, sql: &str) -> Result<i64> {
        let mut connection = self.connection.borrow_mut();
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        self.site
            .runtime
            .block_on(query.fetch_one(&mut *connection))
            .with_context(|| sql.to_owned())
    }

    pub fn truth(&self, sql: &str) -> Result<bool> {
        let mut connection = self.connection.borrow_mut();
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        self.site
            .runtime
            .block_on(query.fetch_one(&mut *connection))
            .with_context(|| sql.to_owned())
    }

    /// What a server at rest has done by itself: statistics, hint bits, and nothing left to write.
    pub fn settle(&self) -> Result<()> {
        self.execute("vacuum analyze")?;
        self.execute("checkpoint")
    }

    /// Bytes of the tables and indexes that are not the system's.
    pub fn bytes(&self) -> Result<i64> {
        self.number(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class as c
             join pg_namespace as n on n.oid = c.relnamespace
             where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')",
        )
    }

    /// A transaction that keeps dead rows from being removed, for as long as the value lives.
    pub fn pin(&self) -> Result<Pin<'_>> {
        let mut connection = self.site.connect(&self.url)?;
        self.site.runtime.block_on(async {
            connection
                .execute("begin isolation level repeatable read")
                .await?;
            // Without a statement it has no snapshot.
            connection.execute("select count(*) from pg_class").await
        })?;
        Ok(Pin {
            site: self.site,
            connection: Some(connection),
        })
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // Best effort: the server is gone soon, and its databases with it.
        let _ = self
            .site
            .administer(format!("drop database {} with (force)", self.name));
    }
}

/// An open REPEATABLE READ transaction.
pub struct Pin<'a> {
    site: &'a Site,
    connection: Option<PgConnection>,
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.site.runtime.block_on(connection.close());
        }
    }
}
