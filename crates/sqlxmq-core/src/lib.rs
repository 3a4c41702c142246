//! Queue SQL and runner of sqlxmq. Use it through the `sqlxmq` crate.
