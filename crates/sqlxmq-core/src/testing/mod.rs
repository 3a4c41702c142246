//! The testing kit: jobs run in a test's own database, in turn, by a clock that the test moves.
//!
//! It is behind the feature `testing`, which belongs into the dev-dependencies. A [`TestQueue`] has a database of its own, or
//! takes the one that `#[sqlx::test]` has made. Nothing of the kit is in the queue's own SQL: it is installed in that database.
//!
//! - [`TestQueue::drain`] runs everything that is due, and what that spawns, and says what happened.
//! - [`TestQueue::complete_all`] does the same and fails the test if a job fails.
//! - [`TestQueue::advance`] moves the clock, which stands still otherwise.
//! - [`assert_spawned!`](crate::assert_spawned) and [`refute_spawned!`](crate::refute_spawned) look at what is in the queue.
//! - [`TestQueue::lose_leases`] and [`TestQueue::fail_next_complete`] are the accidents.
//!
//! Methods of the kit panic where a test would unwrap, and say what to do.

mod assert;
mod database;
mod faults;
mod ran;
mod run;
mod spawned;
mod test_queue;

#[doc(hidden)]
pub use assert::{count_matching, listing};
pub use ran::{Ended, Ran};
pub use spawned::{Spawned, SpawnedJob, spawned};
pub use test_queue::TestQueue;

pub(crate) use ran::look_at;
