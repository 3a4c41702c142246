//! The examples of sqlxmq: one program per file beside this one, `cargo run --example quickstart`.
//!
//! With `DATABASE_URL` set they run there, otherwise on a PostgreSQL of their own that is gone when they end. What
//! each prints is in `expected/`, and compared by `cargo xtask ci`.
