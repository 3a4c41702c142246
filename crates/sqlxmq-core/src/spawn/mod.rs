//! Spawning jobs, and committing held ones: declarations only.

mod batch;
mod builder;
mod check;
mod commit;
mod executor;
mod new_job;
mod row;
mod spawner;
mod time;

pub use batch::spawn_all;
pub use builder::{JobBuilder, Untyped};
pub use commit::commit;
pub use executor::SpawnWith;
pub use new_job::NewJob;
pub use spawner::Spawner;
pub use time::SpawnTime;
