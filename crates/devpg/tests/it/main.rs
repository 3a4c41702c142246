//! Behaviour of `devpg` on a real server.

mod owner;
mod test_databases;
