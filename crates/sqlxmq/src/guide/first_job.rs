//! A program that spawns and runs a job, from nothing.
//!
//! ```toml
//! [dependencies]
//! serde = { version = "1", features = ["derive"] }
//! sqlx = { version = "0.9", features = ["postgres", "runtime-tokio"] }
//! sqlxmq = "0.7"
//! tokio = { version = "1", features = ["full"] }
//! tracing-subscriber = "0.3"
//! ```
//!
//! To reach the database by TLS, add `features = ["runtime-tokio-rustls"]` (or `runtime-tokio-native-tls`) to `sqlxmq`.
//!
//! ```no_run
//! use std::error::Error;
//!
//! use serde::{Deserialize, Serialize};
//! use sqlx::PgPool;
//! use sqlxmq::{Json, job, registry};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Welcome {
//!     user: i64,
//! }
//!
//! #[job(channel_name = "mail", retries = 7)]
//! async fn send_welcome(Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {
//!     println!("from {sender} to user {}", welcome.user);
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     tracing_subscriber::fmt().init();
//!     let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
//!     sqlxmq::migrate(&pool).await?;
//!
//!     let mut registry = registry();
//!     registry.set_context("us");
//!     let runner = registry.runner(&pool).run().await?;
//!
//!     send_welcome.builder(&Welcome { user: 1 }).spawn(&pool).await?;
//!     runner.shutdown_on_signal().await?;
//!     Ok(())
//! }
//! ```
//!
//! # Line by line
//!
//! **[`#[job]`](macro@crate::job)** turns the function into a `static` of the same name. It is no function any more: it has a
//! [`name`](crate::NamedJob::name) and makes [builders](crate::JobBuilder). Its arguments set the job's defaults; the builder changes
//! them for one job.
//!
//! **[`Json<T>`](crate::Json)** is the payload. The builder takes a `&T`, so one that is forgotten or of another type does not compile. Every
//! other argument is [context](super::arguments), here the sender.
//!
//! **The runner completes the job** when the function returns Ok, and [tries it again](super::failures) when it returns an error. A
//! function that takes a [`CurrentJob`](crate::CurrentJob) by value completes it itself.
//!
//! **[`migrate`](crate::migrate())** installs the queue, or brings it up to date. Call it whenever the program starts. PostgreSQL 14 or later,
//! no extension.
//!
//! **[`registry`](crate::registry())** has every `#[job]` that is linked into the program. A library that no code names is not linked: `use
//! my_jobs as _;` names it. A runner claims only what its registry knows ([G11](super::guarantees#g11)), so programs with different jobs can share a database.
//!
//! **`tracing_subscriber`** prints what the runner has to say, the errors of jobs above all. Without a subscriber for
//! `tracing`, or an [error handler](super::failures#who-hears-of-it), a job fails in silence.
//!
//! **[`run`](crate::JobRunnerOptions::run)** starts the runner in the background. It lives as long as the handle, so `main` has to wait for
//! something: [`shutdown_on_signal`](crate::JobRunnerHandle::shutdown_on_signal) waits for SIGTERM or Ctrl-C, and then for the jobs that run.
//!
//! **[`spawn`](crate::JobBuilder::spawn)** takes a pool, a connection or, [better](super::transactions), the transaction that the job belongs to. The process
//! that spawns need not run jobs, and can be written in any language:
//!
//! ```sql
//! select mq_spawn('my_app::send_welcome', payload => '{"user": 1}', channel_name => 'mail');
//! ```
//!
//! # Three things to know on the first day
//!
//! - **A job may run twice.** If its process dies, or loses the database for longer than its lease, another attempt is made ([G2](super::guarantees#g2)).
//!   What must not happen twice goes into [the same transaction as the job's end](super::transactions).
//! - **The name is stored with the job.** By default it has the path of the function: `my_app::send_welcome`. Give it a name of its own,
//!   `#[job("send_welcome")]`, before you [move it](super::evolution).
//! - **A local variable can't have the name of a job.** A `static` can't be shadowed, so `async fn charge(Json(charge): Json<Charge>)` is
//!   error E0530, "function parameters cannot shadow statics". Call one of the two otherwise.
