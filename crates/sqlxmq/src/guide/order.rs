//! Which job comes next: channels, strict order, fairness, delays.
//!
//! # Channels
//!
//! A channel is a name and arguments, both texts, both empty by default. It is there while it has jobs: there is nothing to declare.
//! The name says what kind of work it is (`mail`, `documents`), and runners can subscribe to names
//! ([`set_channel_names`](crate::JobRunnerOptions::set_channel_names)). The arguments say whose work it is: a user, a document, a tenant.
//!
//! # Fairness
//!
//! Ready jobs of different channels take turns, however many each has: a channel with a million jobs does not hold up one with
//! three ([G8](super::guarantees#g8)). A turn is one job, or up to 16 that were spawned together. So put the key of whoever might flood you into the channel's arguments.
//!
//! Within a channel, jobs that are not ordered start in no promised order, and run side by side.
//!
//! # Strict order
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use sqlxmq::{Json, job, spawn_all};
//!
//! #[job(channel_name = "accounts", ordered)]
//! async fn book(Json(cents): Json<i64>) {
//!     println!("{cents}");
//! }
//!
//! let account = "4711";
//! let jobs = [100, -30, 20].map(|cents| {
//!     let mut job = book.builder(&cents);
//!     job.set_channel_args(account);
//!     job
//! });
//! spawn_all(pool, &jobs).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An ordered job starts only when the ordered jobs before it in its channel have ended ([G7](super::guarantees#g7)). *Before* means: their transaction was committed
//! before this one was spawned; in one batch, the order of the batch. Two spawns that overlap have no order between them, and do not wait for
//! each other. If they must have one, let both lock a row of yours first, as the documents of [`examples/app`](https://github.com/Diggsey/sqlxmq/tree/main/examples/app) do.
//!
//! - A job that waits for its delay, its retry or its [commit](super::transactions#two-phases) holds up those behind it. That is what order means; keep the
//!   retries of ordered jobs short.
//! - A [dead](super::failures#dead-jobs) one does not ([G6](super::guarantees#g6)). If what comes after must not run without it, let the next job look.
//! - One order for everything is one job at a time. Put the key of what must be in order into the arguments, and accounts run side
//!   by side.
//!
//! # Many at once
//!
//! [`spawn_all`](crate::spawn_all()) stores any number of jobs in one statement, all or none. Builders of one kind go into it as they are, as above.
//! Two kinds are of different types: [`as_ref`](crate::JobBuilder::as_ref) gives what they have in common.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use sqlxmq::{Json, job, spawn_all};
//!
//! #[job]
//! async fn welcome(Json(name): Json<String>) {
//!     println!("hello {name}");
//! }
//!
//! #[job]
//! async fn count(Json(user): Json<i64>) {
//!     println!("user {user}");
//! }
//!
//! let first = welcome.builder(&"ada".to_owned());
//! let mut second = count.builder(&7);
//! second.set_channel_name("statistics");
//! let ids = spawn_all(pool, &[first.as_ref(), second.as_ref()]).await?;
//! assert_eq!(ids.len(), 2);
//!
//! // A list of any length:
//! let builders = ["grace", "alan"].map(|name| welcome.builder(&name.to_owned()));
//! let mut jobs: Vec<&sqlxmq::NewJob<'_>> = builders.iter().map(AsRef::as_ref).collect();
//! let last = count.builder(&8);
//! jobs.push(last.as_ref());
//! let ids = spawn_all(pool, &jobs).await?;
//! # assert_eq!(ids.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Many tasks, one job each
//!
//! A service whose handlers spawn a job each pays for a statement and a commit each time. Those that spawn at the same time share them by a
//! [`Spawner`](crate::Spawner), one for the program:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use sqlxmq::{Json, Spawner, job};
//!
//! #[job]
//! async fn resize(Json(image): Json<i64>) {
//!     println!("image {image}");
//! }
//!
//! let spawner = Spawner::new(pool);
//! // In each handler:
//! let id = spawner.spawn(&resize.builder(&7)).await?;
//! # assert!(sqlxmq::exists(pool, id).await?);
//! # Ok(())
//! # }
//! ```
//!
//! It returns when the job is committed, in a transaction of its own and not of the caller's: a job that belongs to what the handler writes is spawned
//! [with the handler's transaction](super::transactions#spawn-in-the-transaction-that-gives-rise-to-the-job). Who spawns alone waits for nobody; the order of what one task spawns is kept.
//!
//! # Keeping a builder
//!
//! A builder keeps texts by reference, and its setters return `&mut`. Spawned at once nothing is noticed; to keep one or to return it, mind both:
//!
//! | the compiler says | of | write |
//! |---|---|---|
//! | E0716, *temporary value dropped while borrowed* | `let job = book.builder(&1).set_retries(3);` | `let mut job = book.builder(&1);`, then `job.set_retries(3);` |
//! | E0716 | `job.set_channel_args(&format!("{account}"));` | `let args = format!("{account}");`, then `job.set_channel_args(&args);` |
//! | E0515, *cannot return value referencing temporary value* | `map(\|cents\| book.builder(&cents).set_channel_args(account))` | a block that returns `job`, as in the example of [strict order](#strict-order) |
//! | E0515, *… referencing local variable* | a function that makes the text and returns the builder | let the caller make the text: `fn booking(args: &str) -> JobBuilder<'_, Json<i64>>`. Or let the function spawn |
//!
//! # Later
//!
//! [`set_delay`](crate::JobBuilder::set_delay) counts from the spawn, [`spawn_at`](crate::JobBuilder::spawn_at) names a time, that of `std`, `chrono`, or by
//! feature of `jiff` or `time`. Both are compared with the database's clock, so a host whose clock is wrong does no harm ([G10](super::guarantees#g10)).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use std::time::{Duration, SystemTime};
//! use sqlxmq::job;
//!
//! #[job]
//! async fn remind() {}
//!
//! remind.builder().set_delay(Duration::from_secs(3600)).spawn(pool).await?;
//! remind.builder().spawn_at(SystemTime::now() + Duration::from_secs(3600), pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How soon
//!
//! A spawn wakes a runner that sleeps, within milliseconds of its commit. If the notification is lost, the runner's poll interval is the
//! longest wait: 1 s unless [`set_poll_interval`](crate::JobRunnerOptions::set_poll_interval) says otherwise ([G13](super::guarantees#g13)).
