//! Serves requests and runs jobs, until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use axum::routing::get;
use sqlx::PgPool;
use tokio::net::TcpListener;

use example_app::mail::{Mailer, Printed};
use example_app::{health, jobs, migrate, routes};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let pool = PgPool::connect(&url)
        .await
        .context("failed to connect to the database")?;
    migrate(&pool).await?;

    let runner = jobs(Mailer(Arc::new(Printed)))
        .runner(&pool)
        .set_concurrency(4, 8)
        .run()
        .await?;
    let runner = Arc::new(runner);
    let health = get(health::health).with_state(Arc::clone(&runner));

    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    // On SIGTERM or Ctrl-C the runner claims no more and waits for its jobs. Requests are served meanwhile: what they spawn is
    // for the next process.
    let stopped = async move {
        match runner.shutdown_on_signal().await {
            Ok(0) => println!("all jobs have ended"),
            Ok(left) => println!("{left} jobs were given back"),
            Err(error) => eprintln!("signals can't be heard: {error}"),
        }
    };
    axum::serve(listener, routes(pool.clone()).route("/health", health))
        .with_graceful_shutdown(stopped)
        .await?;
    pool.close().await;
    Ok(())
}
