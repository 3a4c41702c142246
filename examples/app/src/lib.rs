//! A web application with background jobs, on axum, sqlx and sqlxmq. Made to be copied from.
//!
//! - [`sign_up`]: a letter to a new user, spawned by the transaction that creates the user.
//! - [`documents`]: each version of a document goes through the same steps, documents side by side, versions in order.
//! - [`reports`]: a long job that goes on where it was, should its process die.
//! - [`health`]: what a load balancer asks.
//!
//! ```sh
//! DATABASE_URL=postgres://localhost/app cargo run --package example-app
//! curl --json '{"email": "ada@example.org"}' http://localhost:3000/sign-up
//! ```
//!
//! One process serves requests and runs jobs. To have them apart, start a program that does only one of the two: they meet in
//! the database alone.

pub mod documents;
pub mod error;
pub mod health;
pub mod mail;
pub mod reports;
pub mod sign_up;

use axum::Router;
use axum::routing::{get, post, put};
use sqlx::PgPool;
use sqlxmq::JobRegistry;

use mail::Mailer;

/// Installs the tables of the application and those of the queue.
///
/// # Errors
///
/// Returns an error if a migration fails.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::migrate!().run(pool).await?;
    sqlxmq::migrate(pool).await?;
    Ok(())
}

/// Returns every job of the application, with what they are given. Tests use it as well.
pub fn jobs(mailer: Mailer) -> JobRegistry {
    let mut registry = sqlxmq::registry();
    registry.set_context(mailer);
    registry
}

/// Returns the application's routes.
pub fn routes(pool: PgPool) -> Router {
    Router::new()
        .route("/sign-up", post(sign_up::sign_up))
        .route("/documents/{document}", put(documents::save).get(documents::show))
        .route("/reports", post(reports::order))
        .route("/reports/{report}", get(reports::show))
        .with_state(pool)
}
