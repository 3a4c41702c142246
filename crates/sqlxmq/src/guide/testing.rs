//! Running jobs in tests, by a clock that the test moves.
//!
//! ```toml
//! [dev-dependencies]
//! sqlxmq = { version = "0.7", features = ["testing"] }
//! ```
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use std::time::Duration;
//! use sqlxmq::testing::{Ended, TestQueue};
//! use sqlxmq::{Json, assert_spawned, job, refute_spawned};
//!
//! #[job(retries = 1, backoff = "1m")]
//! async fn send_letter(Json(address): Json<String>) -> Result<(), std::fmt::Error> {
//!     if address.contains('@') { Ok(()) } else { Err(std::fmt::Error) }
//! }
//!
//! # async fn only_compiled() {
//! let queue = TestQueue::create().await;
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let queue = TestQueue::of(db.pool()).await;
//! let registry = sqlxmq::JobRegistry::new(&[send_letter]);
//!
//! send_letter.builder(&"ada@example.org".to_owned()).spawn(queue.pool()).await?;
//! assert_spawned!(queue.pool(), send_letter, payload matches address if address.starts_with("ada"));
//! assert_eq!(queue.complete_all(&registry).await, 1);
//! refute_spawned!(queue.pool(), send_letter);
//!
//! send_letter.builder(&"nowhere".to_owned()).spawn(queue.pool()).await?;
//! let ran = queue.drain(&registry).await;
//! assert!(matches!(ran[0].ended, Ended::Retries { after } if after >= Duration::from_secs(60)));
//! // The backoff, and the tenth that chance may add.
//! queue.advance(Duration::from_secs(66)).await;
//! let ran = queue.drain(&registry).await;
//! assert_eq!((ran[0].attempt, ran[0].ended), (2, Ended::Dead));
//! # Ok(())
//! # }
//! ```
//!
//! # A database of the test's own
//!
//! - `TestQueue::create()` makes one on the server of `DATABASE_URL`, installs the queue, and drops it at the end. The role needs the right to
//!   make databases: `alter role app createdb`. (So it does for `#[sqlx::test]`.)
//! - `TestQueue::of(&pool)` takes the one that `#[sqlx::test]` has made:
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! #[sqlx::test]
//! async fn a_test(pool: sqlx::PgPool) {
//!     let queue = sqlxmq::testing::TestQueue::of(&pool).await;
//!     // ..
//!     # drop(queue);
//! }
//! # fn main() {}
//! ```
//!
//! In both the queue's clock stands still until the test moves it, so what is due does not depend on how fast the test is. Never give the
//! kit a database that others use: it refuses one in which a runner is at work.
//!
//! # Running
//!
//! | | |
//! |---|---|
//! | `drain(&registry)` | runs everything that is due, and what that spawns, one after the other, and returns each attempt |
//! | `complete_all(&registry)` | the same, and panics if an attempt does not complete its job: an `assert!` in a job fails the test |
//! | `run_one(&registry)` | runs the next one and returns an `Option<Ran>`. `None`: nothing is due. There may be jobs that are delayed, backing off, held, or of names that the registry does not know |
//! | `advance(duration)`, `advance_to_next()` | move the clock: delays and backoffs pass without waiting |
//!
//! Each attempt is a `Ran`, with id, name, number, recorded error, and how it `ended`:
//!
//! | `Ended::` | the job |
//! |---|---|
//! | `Completed` | is gone |
//! | `Retries { after }` | failed, and is due again in `after` |
//! | `Released { after }` | was put off (`Outcome::Snooze`), or given back because its payload is newer than the program. No attempt was used |
//! | `Dead` | failed for the last time |
//! | `Lost` | was taken away while it ran: its lease was lost, or it was cancelled |
//!
//! The process's clock goes on meanwhile: a job of [`spawn_at`](crate::JobBuilder::spawn_at)`(SystemTime::now())` is due milliseconds later than the queue's clock
//! stands, and `advance_to_next()` is right where `advance` falls short of them.
//!
//! Jobs run in the test's own task, so task-locals, a `tracing` subscriber and the test's captured output are theirs as well. The code is that
//! of a runner from the claim to the stored outcome; what a test does not have is several at a time.
//!
//! # Looking
//!
//! `assert_spawned!(executor, job)` and `refute_spawned!` look into the queue. Given a transaction they see what it has spawned. `payload
//! matches` takes any pattern of the payload's type, with a guard. When they fail they show what is there. `spawned(&pool)` lists it.
//!
//! # Accidents
//!
//! Code that is right on a good day is easy. What happens when the runner loses its lease in the middle, or the last commit fails?
//!
//! | | |
//! |---|---|
//! | `lose_leases()` | called while a job runs: takes it away, as if its runner had been cut off. It can't complete any more, and is run again |
//! | `fail_next_complete()` | the next completion fails once, and its transaction with it |
//!
//! A job that has an accident needs the queue while the test has it too. Share it, as any other context:
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use std::sync::Arc;
//! use sqlxmq::testing::{Ended, TestQueue};
//! use sqlxmq::{CurrentJob, JobRegistry, job};
//!
//! #[job]
//! async fn unlucky(job: &mut CurrentJob, queue: Arc<TestQueue>) {
//!     if job.attempt() == 1 {
//!         queue.lose_leases().await;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! let queue = Arc::new(TestQueue::of(pool).await);
//! let mut registry = JobRegistry::new(&[unlucky]);
//! registry.set_context(Arc::clone(&queue));
//!
//! unlucky.builder().spawn(pool).await?;
//! let ran = queue.drain(&registry).await;
//! assert_eq!(ran[0].ended, Ended::Lost);
//! assert_eq!(ran[1].ended, Ended::Completed);
//! # Ok(())
//! # }
//! ```
//!
//! The tests of [`examples/app`](https://github.com/Diggsey/sqlxmq/tree/main/examples/app/tests/it) use all of these.
//!
//! # Without the kit
//!
//! [`test_one`](crate::JobRunnerOptions::test_one) runs one ready job to its end and needs no feature. A job's function can't be called directly, it is a static; put
//! what is worth a unit test into a function that it calls.
