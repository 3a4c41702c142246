//! What every example needs around it: a migrated database, and a way to wait for its jobs.

use std::time::Duration;

use anyhow::Context;
use devpg::DevPg;
use sqlx::PgPool;
use sqlxmq::exists;
use uuid::Uuid;

/// A database with the queue installed. A server that was started for it stops when this is dropped.
pub struct Database {
    /// A pool of connections, for the example itself.
    pub pool: PgPool,
    /// The database's address, for other processes.
    #[allow(dead_code, reason = "one example of several has other processes")]
    pub url: String,
    _server: Option<DevPg>,
}

impl Database {
    /// Connects to `DATABASE_URL`, or to a throw-away server if there is none, and installs the queue.
    pub async fn open() -> anyhow::Result<Self> {
        let (url, server) = match std::env::var("DATABASE_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                eprintln!("DATABASE_URL is not set: starting a throw-away PostgreSQL");
                let server = DevPg::start()?;
                (server.url("postgres"), Some(server))
            }
        };
        let pool = PgPool::connect(&url)
            .await
            .context("failed to connect to the database")?;
        sqlxmq::migrate(&pool).await?;
        Ok(Self {
            pool,
            url,
            _server: server,
        })
    }
}

/// Waits until none of the jobs is left.
#[allow(dead_code, reason = "not every example waits for jobs")]
pub async fn finished(pool: &PgPool, jobs: &[Uuid]) -> anyhow::Result<()> {
    for &id in jobs {
        while exists(pool, id).await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}

/// The queue of one test, by the kit. Of an application it is one line, `TestQueue::create()`; here the server may be ours as well.
#[cfg(test)]
pub struct Test {
    pub queue: sqlxmq::testing::TestQueue,
    _database: devpg::TestDb,
}

#[cfg(test)]
impl Test {
    pub async fn start() -> Self {
        let database = devpg::TestDb::create(sqlxmq::migrator()).await;
        let queue = sqlxmq::testing::TestQueue::of(database.pool()).await;
        Self {
            queue,
            _database: database,
        }
    }
}
