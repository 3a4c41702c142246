//! What jobs are spawned with. It is a trait for its message alone.

use sqlx::{Executor, Postgres};

/// What jobs can be spawned with: every sqlx executor for PostgreSQL, so `&pool`, `&mut *connection`, `&mut *tx`.
#[diagnostic::on_unimplemented(
    message = "a job cannot be stored by means of `{Self}`",
    label = "not a sqlx executor",
    note = "write `&mut *tx` for a transaction (`&mut **tx` if `tx` is a `&mut` itself), `&mut *connection` for a connection, `&pool` for a pool"
)]
pub trait SpawnWith<'c>: Executor<'c, Database = Postgres> {}

#[diagnostic::do_not_recommend]
impl<'c, E: Executor<'c, Database = Postgres>> SpawnWith<'c> for E {}
