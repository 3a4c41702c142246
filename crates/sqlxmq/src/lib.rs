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
//! | Batches | spawns many jobs with one statement ([`spawn_all`]), claims and completes many with one each |
//! | Delays | runs a job at a later time: [`JobBuilder::set_delay`], [`JobBuilder::spawn_at`] |
//! | Reliable delivery | a job that was committed is run until it is completed or out of attempts, whatever crashes |
//! | Retries | with exponential backoff; how many and how long is up to the job |
//! | Transactional sending | a job of a transaction that is rolled back has never been there |
//! | Transactional completion | effects in the same database happen exactly once: [`CurrentJob::complete_with_transaction`] |
//! | Checkpoints | the next attempt goes on where the last one got to: [`CurrentJob::checkpoint`] |
//! | Strict order | opt-in, within a channel: [`JobBuilder::set_ordered`] |
//! | Fairness | a channel with a million jobs does not hold up one with three |
//! | Two phases | opt-in: reserve a place in the order now, commit the job later: [`commit`] |
//! | Payloads | JSON, bytes, or both; they come back byte for byte, or [as the type](#typed-jobs) of an argument |
//! | Keep-alive | a job may take hours: its lease is renewed while its runner lives |
//! | Concurrency | a minimum and a maximum per runner: [`JobRunnerOptions::set_concurrency`] |
//! | Registry | [`#[job]`](macro@job) makes an async function a job, with defaults, and enters it into [`registry`] |
//! | Implicit channels | a channel is there while it has jobs; nothing to declare |
//! | Channel groups | one subscription to a channel name covers the channels of all its arguments |
//! | Wake-ups | by `NOTIFY`, with polling as the safety net |
//! | Schema | installed by migrations; every object's name starts with `mq_` |
//! | One source | this guide is README's text, and its examples are tests |
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
//! ## Typed jobs
//!
//! A function that takes the payload as an argument, and does not own its job, says the same with less:
//!
//! ```
//! use sqlxmq::{Json, job};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Email {
//!     to: String,
//! }
//!
//! #[job(retries = 7, backoff = "30s", timeout = "1m")]
//! async fn send_email(Json(email): Json<Email>, sender: &'static str) -> Result<(), std::io::Error> {
//!     println!("from {sender} to {}", email.to);
//!     Ok(())
//! }
//!
//! # async fn example(pool: &sqlx::PgPool) -> Result<(), sqlxmq::SpawnError> {
//! let email = Email { to: "pip@example.com".to_owned() };
//! send_email.builder(&email).set_channel_name("mail").spawn(pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - **Ownership says who completes.** The runner completes a job that its function does not own, when that returns Ok. It may
//!   borrow it as `job: &mut CurrentJob`, to checkpoint it, say, or to complete it in a transaction.
//! - **The payload is in the types**: [`Json<T>`](Json), [`Bytes`], or both. The builder wants it, and a job whose payload is
//!   missing or no `T` is dead at once, with the reason. When the type changes, `#[job(version = 2, upgrade = from_v1)]` reads the
//!   jobs that are queued; programs that do not know a version leave its jobs alone.
//! - **Other arguments** are made from the job if their type is [`FromJob`], and context if it is not.
//! - **More than Ok and Err**: the function may return an [`Outcome`] ([`Retry`](Outcome::Retry), [`Snooze`](Outcome::Snooze),
//!   [`Dead`](Outcome::Dead)), and an error may know that trying again can't help: [`JobError`], or [`permanent`] around any
//!   other.
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
//! As a program this ends at once, because `main` drops the runner; a service waits for its [signal to stop](#stopping).
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
//! # Transactions, and what happens once
//!
//! Spawned in a transaction, a job exists if and only if the transaction commits.
//!
//! **Delivery is at least once.** A job whose runner dies, or loses its database for longer than its lease, is run again
//! by somebody else, so an email may be sent twice. What can be exactly once are effects in the same database: make
//! them in a transaction and hand it to [`CurrentJob::complete_with_transaction`], which commits both the effects and the
//! end of the job, or neither. Each claim of a job has a token of its own, so that a runner that was presumed dead and
//! comes back gets an error there instead of a second commit.
//!
//! ```no_run
//! # use sqlxmq::{job, CurrentJob};
//! #[job]
//! async fn pay_out(mut current_job: CurrentJob) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let mut tx = current_job.pool().begin().await?;
//!     sqlx::query("update accounts set balance = balance + 5 where id = 1").execute(&mut *tx).await?;
//!     current_job.complete_with_transaction(tx).await?;
//!     Ok(())
//! }
//! ```
//!
//! A long job saves its progress with [`CurrentJob::checkpoint_with_transaction`]: the [`Checkpoint`] replaces the payload
//! that the next attempt will see, in the same commit as the effects so far.
//!
//! # Retries and dead jobs
//!
//! A job has 4 retries, 1 s after the first failure, then 2 s, 4 s and so on up to 1 h, each up to a tenth longer by
//! chance. The attribute and the builder change that for one kind of job, or for one job. The error of each attempt is
//! kept with the job ([`job_errors`]) and given to the handler of [`JobRegistry::set_error_handler`]; a panic is a failed
//! attempt like any other.
//!
//! A job that is out of attempts is *dead*: out of the way, but not gone. [`dead_jobs`] lists them, [`requeue`] gives
//! them a new set of attempts, [`discard`] removes them.
//!
//! # Order and fairness
//!
//! Jobs with the same channel name and channel arguments are in one channel. Ready jobs of different channels take turns,
//! however many each has. Within a channel they start in no promised order.
//!
//! With [`JobBuilder::set_ordered`] they do. Such a job starts only when all ordered jobs of its channel whose spawn was
//! committed before its own began have ended. One that waits for its time or for a retry holds up those behind it, a dead
//! one does not. Put what must be in order into the channel's arguments, an account's number, say, and the accounts run
//! side by side.
//!
//! # Two phases
//!
//! With [`JobBuilder::set_commit_interval`] a job is stored and keeps its place in the order, but is held back until
//! [`commit`] is called with its id. If that does not happen within the interval it is removed, and a commit that comes
//! too late says so.
//!
//! # Stopping
//!
//! ```no_run
//! # async fn example(runner: sqlxmq::JobRunnerHandle) -> std::io::Result<()> {
//! // SIGTERM or Ctrl-C
//! runner.shutdown_on_signal().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A runner that is told to stop claims no more, waits for running jobs, 30 s unless [`JobRunnerOptions::set_grace`] says
//! otherwise, and gives back the rest, without using up an attempt. [`JobRunnerHandle::shutdown`] is the same without the
//! signal. When the handle is dropped the runner claims no more, and running jobs go on while the process lives. Jobs of
//! a process that is killed outright are given back when its lease ends: 30 s later, or what
//! [`JobRunnerOptions::set_lease`] says.
//!
//! # Testing
//!
//! With the feature `testing`, for the dev-dependencies, there is a kit: `testing::TestQueue` runs what is due in turn, by a
//! clock that stands still until the test moves it. `TestQueue::create` makes a database of the test's own on the server of
//! `DATABASE_URL`; `TestQueue::of` takes the one of `#[sqlx::test]`.
//!
#![cfg_attr(feature = "testing", doc = "```no_run")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use sqlxmq::testing::{Ended, TestQueue};
//! use sqlxmq::{Json, assert_spawned, job, registry};
//!
//! #[job]
//! async fn send_email(Json(address): Json<String>) -> Result<(), std::fmt::Error> {
//!     println!("to {address}");
//!     Ok(())
//! }
//!
//! // With #[sqlx::test]
//! async fn a_sign_up_sends_an_email(pool: sqlx::PgPool) -> Result<(), sqlxmq::SpawnError> {
//!     let queue = TestQueue::of(&pool).await;
//!     send_email.builder(&"ada@example.org".to_owned()).spawn(&pool).await?;
//!     assert_spawned!(&pool, send_email, payload matches address if address == "ada@example.org");
//!     let ran = queue.drain(&registry()).await;
//!     assert_eq!(ran[0].ended, Ended::Completed);
//!     Ok(())
//! }
//! ```
//!
//! # Compile features
//!
//! Connections without TLS need none. `runtime-tokio-rustls` and `runtime-tokio-native-tls` switch on sqlx's TLS. `jiff` and
//! `time` let [`JobBuilder::spawn_at`] take the times of these crates; those of `std` and `chrono` it always takes. `testing`
//! adds the testing kit.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
#[path = "private/mod.rs"]
pub mod __private;

#[doc(inline)]
pub use sqlxmq_core::*;
// Named, because a glob does not keep that it is hidden.
#[doc(hidden)]
pub use sqlxmq_core::inventory;
pub use sqlxmq_macros::job;
