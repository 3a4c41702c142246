//! The server under test, and where it is now. Our own connections go past the proxies.

use anyhow::{Context, Result};
use devpg::{DevPg, Standby};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Names our own connections in `pg_stat_activity`, to be spared.
const OURS: &str = "chaos control";
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings of the server. Its processes crash and its machine does not, so what the kernel has is not lost.
const SETTINGS: [(&str, &str); 5] = [
    ("fsync", "off"),
    ("max_connections", "500"),
    // A standby that has lost its primary looks for it this often; commits wait for it meanwhile.
    ("wal_retrieve_retry_interval", "200ms"),
    ("shared_buffers", "256MB"),
    ("log_min_messages", "error"),
];

/// Where the database is: changes with a failover. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Address(Arc<Mutex<String>>);

impl Address {
    /// The URL.
    pub fn url(&self) -> String {
        self.0.lock().expect("nobody panics with it").clone()
    }

    /// A connection of our own, past the proxies.
    pub async fn connect(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = self.url().parse()?;
        let connecting = async { options.application_name(OURS).connect().await };
        Ok(tokio::time::timeout(PATIENCE, connecting)
            .await
            .context("no connection in time")??)
    }
}

/// The server and, until the failover, its standby.
#[derive(Debug)]
pub struct Database {
    server: Option<DevPg>,
    standby: Option<Standby>,
    address: Address,
}

impl Database {
    /// Starts both servers, with the queue and the ledger in them.
    pub async fn start(roles: &[String], patch: Option<String>) -> Result<Self> {
        let mut builder = DevPg::builder().durable();
        for (name, value) in SETTINGS {
            builder = builder.setting(name, value);
        }
        let server = tokio::task::spawn_blocking(|| builder.start()).await??;
        let url = server.url("postgres");
        let mut connection = PgConnection::connect(&url).await?;
        crate::migrations::migrator().await?.run(&mut connection).await?;
        let patch = patch.unwrap_or_default();
        // Each client logs in as somebody else, so that the connections of one can be found.
        let roles: Vec<String> = roles
            .iter()
            .map(|role| format!("create role {role} superuser login;"))
            .collect();
        for sql in [patch, roles.concat(), super::ledger::TABLES.to_owned()] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        }
        connection.close().await?;
        let standby = server.standby().await?;
        Ok(Self {
            server: Some(server),
            standby: Some(standby),
            address: Address(Arc::new(Mutex::new(url))),
        })
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// Ends the server as a crash would, and starts it again. Returns when it accepts connections.
    pub async fn restart(&mut self) -> Result<()> {
        let mut server = self.server.take().context("no server")?;
        let restarted = tokio::task::spawn_blocking(move || server.restart_immediately().map(|()| server));
        self.server = Some(restarted.await??);
        Ok(())
    }

    /// Ends the server and lets its standby take its place. Returns when that can be written to, and tells
    /// when the old one was gone, since 1970.
    pub async fn fail_over(&mut self) -> Result<Duration> {
        let standby = self.standby.take().context("there was a failover already")?;
        let server = self.server.take();
        tokio::task::spawn_blocking(move || drop(server)).await?;
        let gone = super::nemesis::now();
        let server = standby.promote().await?;
        *self.address.0.lock().expect("nobody panics with it") = server.url("postgres");
        self.server = Some(server);
        Ok(gone)
    }

    /// What the server has complained about.
    pub fn log(&self) -> String {
        let path = self
            .server
            .as_ref()
            .map(|server| server.root().join("server.log"));
        path.and_then(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default()
    }
}

/// Ends one connection of a role, chosen by chance. Whether there was one.
pub async fn terminate_one(connection: &mut PgConnection, role: &str) -> Result<bool> {
    let terminated = sqlx::query_scalar(
        "select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.usename = $1 order by random() limit 1",
    )
    .bind(role)
    .fetch_optional(connection)
    .await?;
    Ok(terminated.unwrap_or(false))
}

/// Keeps a REPEATABLE READ transaction open, whatever happens to the server.
pub async fn keep_a_snapshot(address: Address) {
    loop {
        let kept: Result<()> = async {
            let mut connection = address.connect().await?;
            sqlx::raw_sql("begin isolation level repeatable read; select count(*) from chaos_starts")
                .execute(&mut connection)
                .await?;
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                sqlx::raw_sql("select 1").execute(&mut connection).await?;
            }
        }
        .await;
        // Only ever left with an error: the server is gone for a moment.
        drop(kept);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
