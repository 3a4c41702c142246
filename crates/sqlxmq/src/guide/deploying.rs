//! The schema, rights, connections, stopping, health, what to watch.
//!
//! # The schema
//!
//! [`migrate`](crate::migrate()) at the start of the program is enough: it takes a lock, applies what is missing, and keeps its books in a table of its
//! own, `mq_migrations`. If migrations are run by somebody else, `cargo xtask migrate --sync DIR` in a checkout writes them into your
//! migrations folder, and `--check DIR` says in CI that none is missing.
//!
//! All objects are in one schema and begin with `mq_`. One of its own is tidier: put it into the search path of every connection,
//! `postgres://…?options=-csearch_path%3Djobs`.
//!
//! # Rights
//!
//! The owner of the queue may do everything, everybody else nothing until granted. There are four roles, producer, runner, viewer and operator, with
//! their grants in [operations.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/operations.md#roles-and-grants). A web process that only spawns can be a producer: it can't
//! read a single payload.
//!
//! # Connections
//!
//! A runner has five connections of its own, one of all runners a sixth or a seventh while tables have to be made small again, one that completes hundreds of ordered jobs at once another for a while, one with large payloads another to fetch them, and the pool that you gave is for the jobs alone. So jobs that hold every
//! connection of the pool can't starve the runner, and the pool is to be sized for them: as many as run at a time, if each uses one.
//!
//! Behind PgBouncer in transaction mode, spawning works as it is. Runners want a way round it:
//!
//! ```no_run
//! # async fn example(registry: sqlxmq::JobRegistry, pool: sqlx::PgPool) -> Result<(), sqlxmq::RunError> {
//! let runner = registry
//!     .runner(&pool)
//!     .set_direct_url("postgres://db.internal:5432/app")
//!     .run()
//!     .await?;
//! # drop(runner);
//! # Ok(())
//! # }
//! ```
//!
//! Where there is none, `set_listen(false)` needs no session at all: the runner [polls](super::order#how-soon).
//!
//! # How many at a time
//!
//! [`set_concurrency(min, max)`](crate::JobRunnerOptions::set_concurrency), 16 and 32 by default: `max` bounds what runs, and a claim is sent when fewer than `min` do. While jobs are short, some
//! are claimed a few milliseconds ahead. Jobs that wait for others want large numbers, jobs that compute want one per core, and their work in `spawn_blocking`.
//!
//! # Stopping
//!
//! ```no_run
//! # async fn example(runner: sqlxmq::JobRunnerHandle) -> std::io::Result<()> {
//! // SIGTERM or Ctrl-C. A second one ends the grace.
//! let given_back = runner.shutdown_on_signal().await?;
//! # drop(given_back);
//! # Ok(())
//! # }
//! ```
//!
//! A runner that stops claims no more, gives back what it had not started, waits for running jobs up to the grace
//! ([`set_grace`](crate::JobRunnerOptions::set_grace), 30 s by default), tells the rest that it is over, and gives that back too. No
//! attempt is used up ([G14](super::guarantees#g14)). Give the process some seconds more than the grace before it is killed: `terminationGracePeriodSeconds: 40`.
//!
//! The same without a signal is [`shutdown`](crate::JobRunnerHandle::shutdown). A handle that is dropped stops the claiming, and running jobs go on while the runtime lives.
//!
//! # Health
//!
//! [`health`](crate::JobRunnerHandle::health) tells how long ago the last claim was answered and the lease renewed. A runner reconnects for ever, and does not end by
//! itself; if it must, [`finished`](crate::JobRunnerHandle::finished) returns the reason ([G12](super::guarantees#g12)).
//!
//! ```no_run
//! # use std::time::Duration;
//! # fn example(runner: &sqlxmq::JobRunnerHandle) -> bool {
//! let health = runner.health();
//! let is_silent = health.last_claim.is_none_or(|age| age > Duration::from_secs(30));
//! // A runner that is full does not claim.
//! !health.stopping && (!is_silent || health.running_jobs > 0)
//! # }
//! ```
//!
//! # What to watch
//!
//! Two alerts cover most of it: the age of the oldest ready job, and the number of [dead](super::failures#dead-jobs) jobs. These and more are queries in
//! [operations.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/operations.md#monitoring). [`counts`](crate::counts) has the jobs per channel and state; each attempt runs in a `tracing`
//! span named `job`.
//!
//! # Backups
//!
//! A backup of the database is a backup of the queue, of the same moment. **A copy of production runs production's jobs** as soon as a runner
//! connects to it: [`clear_all`](crate::clear_all()) first.
