//! What the programs of `cargo xtask bench` have in common. A program implements [`Queue`] and calls [`main`]; everything that
//! is measured the same way for all of them is here, and nothing here knows sqlx.
//!
//! A program is started for one [`Task`], connects, prints `{"event":"ready"}` and waits for a line on its standard input: the
//! caller notes the time, the CPU and the WAL so far, and says go. It prints `progress` lines while jobs are run, and an `end`
//! line when it is through. Tasks that run jobs go on until standard input is closed.

mod arguments;
mod handler;
mod producer;
mod protocol;
mod queue;
mod tasks;

pub use arguments::{Completion, Options};
pub use handler::Handler;
pub use queue::{NewJob, Queue};
pub use tasks::main;
