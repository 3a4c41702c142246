//! A background-job queue on sqlx and PostgreSQL.

pub use sqlxmq_core::*;
