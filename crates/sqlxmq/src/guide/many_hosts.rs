//! Several runners: what they share, what happens when one dies.
//!
//! There is nothing to set up. Any number of processes, on any number of hosts, may spawn and run jobs of one database. They know of each
//! other through its tables alone: no leader, no ports, no host names.
//!
//! # Who runs what
//!
//! Each runner claims jobs of the names that its [registry](crate::registry()) knows ([G11](super::guarantees#g11)), of all channels or of those it subscribes to:
//!
//! ```no_run
//! # use sqlxmq::{JobRegistry, RunError};
//! # async fn example(registry: JobRegistry, others: JobRegistry, pool: sqlx::PgPool, import: &'static sqlxmq::NamedJob) -> Result<(), RunError> {
//! // A few slow ones here ..
//! let slow = registry.only(&[import]).runner(&pool).set_concurrency(1, 2).run().await?;
//! // .. and the rest beside them. Two runners in one process are fine.
//! let fast = others.without(&[import]).runner(&pool).set_channel_names(&["mail", ""]).run().await?;
//! # drop((slow, fast));
//! # Ok(())
//! # }
//! ```
//!
//! A job is claimed by one of them. [Strict order](super::order#strict-order) and [fairness](super::order#fairness) hold across all of them ([G7](super::guarantees#g7), [G8](super::guarantees#g8)).
//!
//! # When one dies
//!
//! A runner holds one lease for all its jobs, 30 s by default, and renews it every third of that, from a thread that jobs can't block. If it
//! is killed or cut off, the others give its jobs back within the lease and 2 s ([G4](super::guarantees#g4)). An attempt is used: a job that kills its process
//! must not do so for ever. After a [clean stop](super::deploying#stopping) jobs are ready at once.
//!
//! A process that comes back after its lease was over, paused by its host, say, can't complete what it had ([G3](super::guarantees#g3)). So a short
//! lease is not dangerous, only restless:
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn example(registry: sqlxmq::JobRegistry, pool: sqlx::PgPool) -> Result<(), sqlxmq::RunError> {
//! let runner = registry.runner(&pool).set_lease(Duration::from_secs(10)).run().await?;
//! # drop(runner);
//! # Ok(())
//! # }
//! ```
//!
//! How long a job takes has nothing to do with the lease. A job that should be given up when it hangs has a `timeout`.
//!
//! # When the database is away
//!
//! Runners reconnect for ever, with pauses of at most 5 s. Running jobs go on; they can complete when it is back, if that is
//! within the lease. After a failover runners find the server that accepts writes. A completion whose answer was lost is asked after, not repeated ([G3](super::guarantees#g3)).
//!
//! # Clocks
//!
//! Every deadline is the database's ([G10](super::guarantees#g10)). Hosts' clocks may be wrong.
//!
//! # How many
//!
//! More runners are more connections (five each, or up to seven), and not more speed beyond what the database gives. Prefer one runner per process with a
//! larger [`set_concurrency`](crate::JobRunnerOptions::set_concurrency). Numbers are in [performance.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/performance.md).
