//! From sqlxmq 0.6.
//!
//! The queue behind the interface is new; the interface is that of 0.6 but for its error types. [`migrate`](crate::migrate()) finds the tables of
//! 0.6 and moves every job. Step by step, with what becomes of jobs that are running, ordered or held, and how to go back:
//! [upgrading.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/upgrading.md).
//!
//! # In your code
//!
//! | 0.6 | now |
//! |---|---|
//! | sqlx 0.8, native-tls by default | sqlx 0.9; TLS by the features `runtime-tokio-rustls` or `runtime-tokio-native-tls`, none by default |
//! | `sqlx::Error` everywhere | an error type for each call, with `is_transient()` |
//! | `commit` is Ok whatever happened | [`CommitError::Expired`](crate::CommitError::Expired) names what was not committed |
//! | `complete` after the lease: done twice | [`CompleteError::LeaseLost`](crate::CompleteError::LeaseLost), and the transaction is rolled back ([G3](super::guarantees#g3)) |
//! | the lease is the backoff, doubled each time | a lease of 30 s for each runner ([G4](super::guarantees#g4)) |
//! | backoff without end | at most an hour, unless `set_max_backoff` says more |
//! | out of attempts: unseen, and blocks its channel | [dead](super::failures#dead-jobs): listed, and out of the way ([G6](super::guarantees#g6)) |
//! | a name that a runner does not know costs attempts | left to those who know it ([G11](super::guarantees#g11)) |
//! | the runner uses your pool | connections of its own |
//! | your migrations contain the queue's | [`migrate`](crate::migrate()) |
//!
//! # What you can write shorter
//!
//! ```
//! # use std::error::Error;
//! use sqlxmq::{CurrentJob, Json, job};
//!
//! // As ever:
//! #[job(channel_name = "mail")]
//! async fn old_style(mut current_job: CurrentJob) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
//!     let address: Option<String> = current_job.json()?;
//!     println!("to {}", address.ok_or("there is no address")?);
//!     current_job.complete().await?;
//!     Ok(())
//! }
//!
//! // Now, if you like:
//! #[job(channel_name = "mail")]
//! async fn new_style(Json(address): Json<String>) {
//!     println!("to {address}");
//! }
//! # let _ = (old_style.builder().set_json("x").is_ok(), new_style.builder(&String::new()));
//! ```
//!
//! Default names are those of 0.6, so queued jobs find their functions. One function can be changed at a time: they are the same jobs to the queue.
//! `JobRegistry::new(&[..])` may become [`registry()`](crate::registry()), which has them all.
