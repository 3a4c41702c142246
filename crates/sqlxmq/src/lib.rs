//! Background jobs for applications on [sqlx] and PostgreSQL, with PostgreSQL as the only service to run.
//!
//! Jobs are rows of your database. So they are spawned by the transaction that gives rise to them, and completed by the
//! transaction that holds their effects; a backup has data and jobs of the same moment; and there is no broker to
//! deploy, to secure, or to lose.
//!
//! [sqlx]: https://docs.rs/sqlx
//!
//! # What it does
//!
//! | | |
//! |---|---|
//! | Batches | spawns many jobs with one statement ([`spawn_all`]), those of many tasks too ([`Spawner`]), claims and completes many with one each |
//! | Delays | runs a job at a later time: [`JobBuilder::set_delay`], [`JobBuilder::spawn_at`] |
//! | Reliable delivery | a job that was committed is run until it is completed or out of attempts, whatever crashes |
//! | Retries | with exponential [backoff](guide::failures); how many and how long is up to the job |
//! | Transactional sending | a job of a [transaction](guide::transactions) that is rolled back has never been there |
//! | Transactional completion | effects in the same database happen exactly once: [`CurrentJob::complete_with_transaction`] |
//! | Checkpoints | the next attempt goes on where the last one got to: [`CurrentJob::checkpoint`] |
//! | Strict order | opt-in, within a [channel](guide::order): [`JobBuilder::set_ordered`] |
//! | Fairness | a channel with a million jobs does not hold up one with three |
//! | Two phases | opt-in: reserve a place in the order now, commit the job later: [`commit`] |
//! | Payloads | JSON, bytes, or both; they come back byte for byte, or as the [type of an argument](guide::arguments) |
//! | Keep-alive | a job may take hours: its lease is renewed while its runner lives |
//! | Concurrency | a minimum and a maximum per runner: [`JobRunnerOptions::set_concurrency`] |
//! | Registry | [`#[job]`](macro@job) makes an async function a job, with defaults, and enters it into [`registry`] |
//! | Implicit channels | a channel is there while it has jobs; nothing to declare |
//! | Channel groups | one subscription to a channel name covers the channels of all its arguments |
//! | Wake-ups | by `NOTIFY`, with polling as the safety net |
//! | Schema | installed by migrations; every object's name starts with `mq_` |
//! | One source | this page is README's text, and its examples are tests |
//!
//! **Delivery is at least once**, as in every queue: a job whose process dies is run again. What sets this one apart is that effects
//! in the same database can be [exactly once](guide::transactions). Each promise has a [number](guide::guarantees), a mechanism and a test.
//!
//! # Getting started
//!
//! ```toml
//! [dependencies]
//! sqlxmq = { version = "0.7", features = ["runtime-tokio-rustls"] }
//! sqlx = { version = "0.9", features = ["postgres", "runtime-tokio"] }
//! tokio = { version = "1", features = ["full"] }
//! ```
//!
//! ## Install the queue
//!
//! ```no_run
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! sqlxmq::migrate(&pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Call it whenever the application starts: it applies what is missing and remembers it in a table of its own,
//! `mq_migrations`. PostgreSQL 14 or later, no extension. From a checkout of the repository, `cargo xtask migrate` does
//! the same to the database of `DATABASE_URL`, and `cargo xtask migrate --sync DIR` writes the migrations into your own
//! migrations folder.
//!
//! ## Define a job
//!
//! ```
//! use std::error::Error;
//! use sqlxmq::{job, CurrentJob};
//!
//! // Arguments to the `#[job]` attribute allow setting default job options.
//! #[job(channel_name = "foo")]
//! async fn example_job(
//!     // The first argument should always be the current job.
//!     mut current_job: CurrentJob,
//!     // Additional arguments are optional, but can be used to access context
//!     // provided via `JobRegistry::set_context`.
//!     message: &'static str,
//! ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
//!     // Decode a JSON payload
//!     let who: Option<String> = current_job.json()?;
//!     // Do some work
//!     println!("{}, {}!", message, who.as_deref().unwrap_or("world"));
//!     // Mark the job as complete
//!     current_job.complete().await?;
//!     Ok(())
//! }
//! ```
//!
//! This function owns its job and completes it. An attempt fails if the function returns an error, panics, or drops its job
//! without having completed it. The arguments of the attribute are listed at [`#[job]`](macro@job).
//!
//! A function that takes the payload as an argument, and does not own its job, says the same with less. The builder wants the payload
//! then, and the runner completes the job when the function returns Ok:
//!
//! ```no_run
//! use sqlxmq::{Json, job};
//!
//! #[job(retries = 7, backoff = "30s", timeout = "1m")]
//! async fn send_email(Json(address): Json<String>, sender: &'static str) -> Result<(), std::io::Error> {
//!     println!("from {sender} to {address}");
//!     Ok(())
//! }
//! # async fn example(pool: &sqlx::PgPool) -> Result<(), sqlxmq::SpawnError> {
//!
//! send_email.builder(&"pip@example.com".to_owned()).set_channel_name("mail").spawn(pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! ## Run jobs
//!
//! ```no_run
//! # use sqlxmq::{job, CurrentJob};
//! # #[job]
//! # async fn example_job(_current_job: CurrentJob) -> Result<(), sqlx::Error> { Ok(()) }
//! # async fn connect_to_db() -> sqlx::Result<sqlx::PgPool> { unimplemented!() }
//! use std::error::Error;
//! use sqlxmq::JobRegistry;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     // You'll need to provide a Postgres connection pool.
//!     let pool = connect_to_db().await?;
//!     // Construct a job registry from our single job.
//!     let mut registry = JobRegistry::new(&[example_job]);
//!     // Here is where you can configure the registry
//!     // registry.set_error_handler(...)
//!     // And add context
//!     registry.set_context("Hello");
//!     let runner = registry
//!         // Create a job runner using the connection pool.
//!         .runner(&pool)
//!         // Aim to keep 10-20 jobs running at a time.
//!         .set_concurrency(10, 20)
//!         // Start the job runner in the background.
//!         .run()
//!         .await?;
//!     // The job runner will continue listening and running
//!     // jobs until `runner` is dropped.
//!     Ok(())
//! }
//! ```
//!
//! As a program this ends at once, because `main` drops the runner; a service waits for its [signal to stop](guide::deploying).
//! Instead of listing jobs, [`registry()`](registry()) takes every `#[job]` that is linked into the program. A library
//! that no code names is not linked: `use my_jobs as _;` names it. A runner claims only jobs whose names it knows, so
//! that programs with different jobs can share a database.
//!
//! ## Spawn a job
//!
//! ```no_run
//! # use sqlxmq::{job, CurrentJob};
//! # #[job]
//! # async fn example_job(_current_job: CurrentJob) -> Result<(), sqlx::Error> { Ok(()) }
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! example_job.builder()
//!     // This is where we can override job configuration
//!     .set_channel_name("bar")
//!     .set_json("John")?
//!     .spawn(&pool)
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Any sqlx executor will do: a pool, a connection, a transaction. So will plain SQL, from a trigger or from another
//! language: `select mq_spawn('my_app::example_job', payload => '"John"', channel_name => 'bar')`.
//!
//! # The guide
//!
//! | chapter | answers |
//! |---|---|
//! | [First job](guide::first_job) | a program that spawns and runs a job, from nothing |
//! | [Arguments](guide::arguments) | what a job's function can be given |
//! | [Transactions](guide::transactions) | when a job exists, what happens once and what may happen twice |
//! | [Order](guide::order) | which job comes next: channels, strict order, fairness, delays |
//! | [Failures](guide::failures) | retries, errors, panics, timeouts, dead jobs |
//! | [Evolution](guide::evolution) | changing a payload or a name while jobs are queued |
//! | [Testing](guide::testing) | running jobs in tests, by a clock that the test moves |
//! | [Deploying](guide::deploying) | schema, rights, connections, stopping, health |
//! | [Many hosts](guide::many_hosts) | what runners share, and what happens when one dies |
//! | [From 0.6](guide::from_0_6) | what changes in your code |
//! | [From other queues](guide::other_queues) | River, Oban, Sidekiq, graphile-worker, pgmq, apalis |
//! | [Guarantees](guide::guarantees) | each promise with its number |
//!
//! [`examples/app`](https://github.com/Diggsey/sqlxmq/tree/main/examples/app) is a web application to copy from, on axum, with its tests.
//!
//! # Compile features
//!
//! Connections without TLS need none. `runtime-tokio-rustls` and `runtime-tokio-native-tls` switch on sqlx's TLS. `jiff` and
//! `time` let [`JobBuilder::spawn_at`] take the times of these crates; those of `std` and `chrono` it always takes. `testing`
//! adds the testing kit.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod guide;

#[doc(hidden)]
#[path = "private/mod.rs"]
pub mod __private;

#[doc(inline)]
pub use sqlxmq_core::*;
// Named, because a glob does not keep that it is hidden.
#[doc(hidden)]
pub use sqlxmq_core::inventory;
pub use sqlxmq_macros::job;
