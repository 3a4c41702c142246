//! What networks and kernels do to processes, on purpose. For tests and chores of this repository; nothing here is
//! shipped to users of sqlxmq.
//!
//! - [`Proxy`] stands in front of a server and cuts, delays, freezes, or loses answers.
//! - [`Process`] is a child that can be killed, and paused beyond its lease.

mod process;
mod proxy;

pub use process::Process;
pub use proxy::{Fault, Proxy};
