//! Behaviour of `devpg` on a real server.

mod owner;
mod standby;
mod test_databases;
