//! Migrations applied to a database.

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection, PgPool};

/// Applies what is missing, as an application does from its own code.
pub async fn apply(url: &str) -> Result<()> {
    let before = applied_count(url).await?;
    let pool = PgPool::connect_lazy(url).context("DATABASE_URL is no address of a database")?;
    sqlxmq::migrate(&pool).await?;
    println!("applied {} migrations", applied_count(url).await? - before);
    Ok(())
}

/// How many migrations the database has.
async fn applied_count(url: &str) -> Result<usize> {
    Ok(applied(url).await?.len())
}

/// Version and checksum of each migration that the database has.
pub async fn applied(url: &str) -> Result<Vec<(i64, Vec<u8>)>> {
    let mut connection = PgConnection::connect(url)
        .await
        .context("failed to connect to DATABASE_URL")?;
    let exists: bool = sqlx::query_scalar("select to_regclass('mq_migrations') is not null")
        .fetch_one(&mut connection)
        .await?;
    let mut rows = Vec::new();
    if exists {
        rows = sqlx::query_as("select version, checksum from mq_migrations where success order by version")
            .fetch_all(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(rows)
}
