//! The spawner: many tasks spawn single jobs, and share statements and commits. Declarations only.
//!
//! While one flush is on its way, the next gathers, as in the runner's completer.

mod flush;
mod flusher;
mod gathering;
mod kept;
mod public;

pub use public::Spawner;
