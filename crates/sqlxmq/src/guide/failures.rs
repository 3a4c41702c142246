//! Retries, errors, panics, timeouts, dead jobs.
//!
//! # What a failed attempt is
//!
//! An attempt fails if the function returns an error, panics ([G12](super::guarantees#g12)), takes longer than its `timeout`, drops a job that it owns without completing it, or if
//! its process dies. The error is kept with the job, given to the error handler, and the job is tried again.
//!
//! # Retries
//!
//! A job has 4 retries: 1 s after the first failure, then 2 s, 4 s and so on up to an hour, each up to a tenth later, never earlier ([G5](super::guarantees#g5)).
//!
//! ```
//! # use sqlxmq::job;
//! #[job(retries = 7, backoff = "30s", max_backoff = "6h", timeout = "1m")]
//! async fn call_partner() -> Result<(), std::io::Error> {
//!     // ..
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//!
//! // For one job:
//! call_partner.builder().set_retries(0).spawn(pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `backoff = fixed` and `backoff = linear` change how the wait grows. If somebody tells when to come back, let the error say it.
//!
//! # Errors that know better
//!
//! Any error that converts into `Box<dyn Error + Send + Sync>` will do: `anyhow::Error`, `sqlx::Error`, an enum. One that implements
//! [`JobError`](crate::JobError) besides [`Error`](std::error::Error) can say that trying again can't help, or when it can:
//!
//! ```
//! use std::{error::Error, fmt, time::Duration};
//! use sqlxmq::{JobError, Json, job};
//!
//! #[derive(Debug)]
//! enum ChargeError {
//!     Declined,
//!     Busy,
//! }
//!
//! impl JobError for ChargeError {
//!     fn is_permanent(&self) -> bool {
//!         matches!(self, Self::Declined)
//!     }
//!
//!     fn retry_after(&self) -> Option<Duration> {
//!         matches!(self, Self::Busy).then_some(Duration::from_secs(60))
//!     }
//! }
//!
//! // What every error has: `thiserror` writes it from `#[error("the card was declined")]`.
//! impl fmt::Display for ChargeError {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str(match self {
//!             Self::Declined => "the card was declined",
//!             Self::Busy => "the bank is busy",
//!         })
//!     }
//! }
//!
//! impl Error for ChargeError {}
//!
//! #[job]
//! async fn charge(Json(cents): Json<u32>) -> Result<(), ChargeError> {
//!     if cents > 100_000 { Err(ChargeError::Declined) } else { Err(ChargeError::Busy) }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # charge.builder(&1_000_000).spawn(pool).await?;
//! # sqlxmq::JobRegistry::new(&[charge]).runner(pool).test_one().await?;
//! # assert_eq!(sqlxmq::dead_jobs(pool, 10, None).await?[0].attempts, 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`permanent`](crate::permanent) does the same for any other error, boxed or in an `anyhow::Error`: `text.parse().map_err(permanent)?`.
//! The function returns a boxed error or `anyhow::Error` then.
//!
//! # More than Ok and Err
//!
//! What is no error need not be one. [`Outcome`](crate::Outcome) says what else can become of an attempt:
//!
//! ```
//! use std::time::Duration;
//! use sqlxmq::{Outcome, job};
//!
//! #[job]
//! async fn wait_for_payment() -> Result<Outcome, sqlx::Error> {
//!     let is_paid = false; // ..
//!     Ok(match is_paid {
//!         true => Outcome::Done,
//!         // Not yet: no attempt is used.
//!         false => Outcome::Snooze(Duration::from_secs(600)),
//!     })
//! }
//! # let _ = wait_for_payment.builder();
//! ```
//!
//! # Who hears of it
//!
//! By default each error is a `tracing` event of level ERROR, with the job's name and the error's causes. (What the function itself logs is in a span
//! `job`, with id, name, channel and attempt.) [`set_error_handler`](crate::JobRegistry::set_error_handler) takes its place. It also hears of panics ([`JobPanicked`](crate::JobPanicked)), of jobs that were dropped ([`JobDropped`](crate::JobDropped)) or lost
//! their lease ([`JobLeaseLost`](crate::JobLeaseLost)).
//!
//! # Cancelled, or without a lease
//!
//! A job can be over before its function is: somebody [cancelled](crate::cancel) it, its runner was cut off from the database for longer than the lease, or
//! the grace of a [stop](super::deploying#stopping) ended. From then on it can't complete or checkpoint any more ([G3](super::guarantees#g3)). It is told by
//! [`CurrentJob::cancelled`](crate::CurrentJob::cancelled): of a cancel, when its runner next renews its lease, 10 s later at most by default. Long jobs should look:
//!
//! ```
//! # use sqlxmq::{CurrentJob, job};
//! #[job]
//! async fn walk(job: &mut CurrentJob) {
//!     while !job.is_cancelled() {
//!         // .. one step ..
//!         tokio::time::sleep(std::time::Duration::from_millis(10)).await;
//!     }
//! }
//! # let _ = walk.builder();
//! ```
//!
//! A function that blocks its thread can't be stopped by anybody, and holds up other jobs: move such work into
//! `tokio::task::spawn_blocking`. After a second there is a warning of it. Its lease is renewed all the same ([G4](super::guarantees#g4)).
//!
//! # Dead jobs
//!
//! A job that is out of attempts is *dead*: kept with the last 20 errors, out of the way of its [channel](super::order#strict-order), and listed until somebody decides
//! ([G6](super::guarantees#g6)).
//!
//! ```
//! # #[sqlxmq::job(retries = 0)]
//! # async fn broken() -> Result<(), std::fmt::Error> { Err(std::fmt::Error) }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # broken.builder().spawn(pool).await?;
//! # sqlxmq::JobRegistry::new(&[broken]).runner(pool).test_one().await?;
//! use sqlxmq::{dead_jobs, job_errors, requeue};
//!
//! for dead in dead_jobs(pool, 100, None).await? {
//!     println!("{} {}: {:?}", dead.id, dead.name, dead.last_error);
//!     for error in job_errors(pool, dead.id).await? {
//!         println!("  attempt {}: {}", error.attempt, error.error);
//!     }
//!     // When the cause is mended: all attempts again. `discard` removes it for good.
//!     requeue(pool, &[dead.id]).await?;
//! }
//! # assert!(dead_jobs(pool, 1, None).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The same as SQL, and a retention rule, are in [operations.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/operations.md#dead-jobs). Alert on their number.
