//! A throw-away PostgreSQL for examples, tests and chores of this repository, made from server binaries that
//! are already on the machine. Unix only (on Windows: WSL). Nothing here is shipped to users of sqlxmq.
//!
//! - [`DevPg`] is a server of one's own: there until the value is dropped or the process dies, however it dies.
//! - [`Standby`] is a synchronous copy of such a server that can take its place.
//! - [`TestDb`] is a database of one's own on a server shared by all tests, cloned from a migrated template.

#[cfg(not(unix))]
compile_error!("devpg needs unix sockets and `sh`; on Windows, work in WSL");

mod error;
mod eventually;
mod find;
mod launch;
mod server;
mod shared;
mod standby;
mod test_db;

pub use error::{NotFound, StartError};
pub use eventually::eventually;
pub use find::find_bin_dir;
pub use server::{DevPg, DevPgBuilder};
pub use standby::Standby;
pub use test_db::TestDb;
