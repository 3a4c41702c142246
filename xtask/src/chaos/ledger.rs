//! The ledger: append-only tables that jobs and spawners write to in the transactions that count.
//!
//! No table has a unique constraint: nothing but the queue keeps an effect from being there twice.

use sqlx::{PgConnection, PgPool, types::Uuid};
use sqlxmq::CurrentJob;

/// `seen` and `xid` tell whether an effect had been committed when a job started, which no clock can.
pub const TABLES: &str = "
create table chaos_spawned (id uuid not null);
create table chaos_starts (
  id uuid not null,
  attempt integer not null,
  process bigint not null,
  at timestamptz not null default clock_timestamp(),
  seen pg_snapshot not null default pg_current_snapshot()
);
create table chaos_effects (
  id uuid not null,
  step integer not null,
  attempt integer not null,
  process bigint not null,
  at timestamptz not null default clock_timestamp(),
  xid xid8 not null default pg_current_xact_id()
);
create index chaos_starts_by_time on chaos_starts (at);
create index chaos_effects_by_id on chaos_effects (id, step);";

/// Notes a spawn in its own transaction.
pub async fn note_spawn(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("insert into chaos_spawned values ($1)")
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
}

/// Notes that an attempt has started, in a transaction by itself.
pub async fn note_start(pool: &PgPool, job: &CurrentJob) -> sqlx::Result<()> {
    sqlx::query("insert into chaos_starts values ($1, $2, $3)")
        .bind(job.id())
        .bind(job.attempt().cast_signed())
        .bind(i64::from(std::process::id()))
        .execute(pool)
        .await
        .map(drop)
}

/// Leaves the effect of a step.
pub async fn leave_effect(connection: &mut PgConnection, job: &CurrentJob, step: i32) -> sqlx::Result<()> {
    sqlx::query("insert into chaos_effects values ($1, $2, $3, $4)")
        .bind(job.id())
        .bind(step)
        .bind(job.attempt().cast_signed())
        .bind(i64::from(std::process::id()))
        .execute(connection)
        .await
        .map(drop)
}
