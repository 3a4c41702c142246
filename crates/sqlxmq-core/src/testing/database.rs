//! A database of a test's own, on the server of `DATABASE_URL`, dropped at the end.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

/// Dropping it drops the database.
#[derive(Debug)]
pub(super) struct OwnDatabase {
    server: PgConnectOptions,
    name: String,
}

impl OwnDatabase {
    /// Makes an empty database.
    pub(super) async fn create(url: &str) -> (Self, PgPool) {
        let server = PgConnectOptions::from_str(url)
            .unwrap_or_else(|error| panic!("DATABASE_URL is no address of a PostgreSQL: {error}"));
        let name = format!("sqlxmq_test_{}", Uuid::now_v7().simple());
        run(&server, &format!("create database {name}"))
            .await
            .unwrap_or_else(|error| {
                panic!(
                    "failed to create a database for the test{}: {error}",
                    advice(&error)
                )
            });
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .connect_lazy_with(server.clone().database(&name));
        (Self { server, name }, pool)
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let (server, statement) = (
            self.server.clone(),
            format!("drop database if exists {} with (force)", self.name),
        );
        // On a thread of its own: the test's runtime is busy with this drop, and may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime
                    .block_on(run(&server, &statement))
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        });
        if let Ok(Err(error)) = dropping.join() {
            tracing::warn!(
                database = self.name,
                error,
                "a test's database could not be dropped"
            );
        }
    }
}

/// What to do about it, where that is known.
fn advice(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        // Insufficient privilege.
        Some("42501") => " (its role needs the right: `alter role .. createdb`)",
        _ => "",
    }
}

async fn run(server: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    connection.execute(AssertSqlSafe(statement.to_owned())).await?;
    connection.close().await
}
