//! The `#[job]` attribute of sqlxmq. Use it through the `sqlxmq` crate.
