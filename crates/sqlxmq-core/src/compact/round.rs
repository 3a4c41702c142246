//! One round: vacuums what is littered, then rewrites at most one table that is oversized all the same.
//!
//! A rewrite is decided by what a vacuum has just counted: after a crash of the server the statistics are empty, and so would every
//! table seem to be.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use super::bounds::Bounds;
use super::horizon::Horizon;
use super::vacuum::vacuum;
use crate::store::compact::{self as store, TableSeen, is_timed_out};

/// What so many dead rows were in is in the way of a rewrite only because of those that have died during its vacuum. A busy queue has no
/// more within the ten seconds between two rounds.
const LONG_DEAD: i64 = 1_000_000;

/// Sessions report their statistics once a second, and PostgreSQL 14 files them later still.
const UNTIL_COUNTED: Duration = Duration::from_secs(1);

/// What was done about a table, and how large it was before and after, with its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactedTable {
    /// The name of the table.
    pub table: String,
    /// How large it was, in bytes.
    pub bytes_before: u64,
    /// How large it was afterwards, in bytes.
    pub bytes_after: u64,
    /// What was done.
    pub outcome: Compaction,
}

/// What was done about a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compaction {
    /// The room of its dead rows is free for new ones. It is as large as before.
    Vacuumed,
    /// Most of its dead rows had to stay: an open transaction may want to see them, another vacuum was there, somebody has waited for the
    /// table, or a minute was not enough.
    Pinned,
    /// It and its indexes were written anew.
    Rewritten,
    /// It is too large, but somebody has held a lock on it for longer than 100 ms.
    Locked,
    /// It is too large, and writing it anew took longer than 2.5 s.
    TookTooLong,
}

/// What was done in a round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) tables: Vec<CompactedTable>,
    /// Whether another table is oversized.
    pub(crate) is_more: bool,
    /// Whether a table seems to be oversized but for what has died during its vacuum, which was a long one.
    pub(crate) has_died_meanwhile: bool,
    /// How long those of its vacuums took that were in vain.
    pub(crate) in_vain_for: Duration,
    /// If a table is pinned: whom by, who was there before its vacuum and is there still. `None`: nobody who can be seen. Or it was not vacuumed,
    /// since another vacuum is in it, somebody waited for it, or it took too long.
    pub(crate) pinned_by: Option<Horizon>,
}

impl Round {
    pub(crate) fn has(&self, outcome: Compaction) -> bool {
        self.tables.iter().any(|table| table.outcome == outcome)
    }
}

/// Does one round, under the lock that [`store::begin`] has taken. `watch`: how to look after a vacuum from outside. `may_rewrite`: which
/// tables; others are only vacuumed.
pub(crate) async fn round(
    connection: &mut PgConnection,
    watch: &PgConnectOptions,
    bounds: &Bounds,
    may_rewrite: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Round, sqlx::Error> {
    let mut before = store::look(connection).await?;
    before.retain(|table| {
        table.is_ours && (bounds.is_littered(table) || may_rewrite(&table.name) && bounds.is_oversized(table))
    });
    if before.is_empty() {
        return Ok(Round::default());
    }
    let horizon = store::horizon(connection).await?;
    let mut took = Vec::new();
    for table in &before {
        let started = Instant::now();
        vacuum(connection, table.hot(), watch).await?;
        took.push(started.elapsed());
    }
    tokio::time::sleep(UNTIL_COUNTED).await;
    let after = store::look(connection).await?;
    let mut oversized = Vec::new();
    let mut round = Round::default();
    let mut is_undone = false;
    for (before, took) in before.iter().zip(took) {
        // Gone: the queue is being removed.
        let Some(after) = after.iter().find(|after| after.name == before.name) else {
            continue;
        };
        is_undone |= after.vacuums == before.vacuums;
        let is_pinned = is_pinned(bounds, before, after);
        if is_pinned {
            round.in_vain_for += took;
        } else if may_rewrite(&after.name) {
            if bounds.is_oversized(after) {
                oversized.push((round.tables.len(), after));
            } else if before.dead >= LONG_DEAD && bounds.is_oversized(&after.without_dead()) {
                round.has_died_meanwhile = true;
            }
        }
        round.tables.push(CompactedTable {
            table: before.name.clone(),
            bytes_before: before.bytes.unsigned_abs(),
            bytes_after: after.bytes.unsigned_abs(),
            outcome: match is_pinned {
                true => Compaction::Pinned,
                false => Compaction::Vacuumed,
            },
        });
    }
    oversized.sort_by_key(|(_, table)| table.bytes);
    // The largest one; if somebody has locked that, the next.
    while let Some((place, table)) = oversized.pop() {
        let outcome = rewrite(connection, table).await?;
        round.tables[place].outcome = outcome;
        if outcome == Compaction::Rewritten {
            let after = store::look(connection).await?;
            if let Some(after) = after.iter().find(|after| after.name == table.name) {
                round.tables[place].bytes_after = after.bytes.unsigned_abs();
            }
            round.is_more = !oversized.is_empty();
        }
        if outcome != Compaction::Locked {
            break;
        }
    }
    if !is_undone && round.has(Compaction::Pinned) && store::horizon(connection).await? == horizon {
        round.pinned_by = horizon;
    }
    Ok(round)
}

/// No vacuum has been through it, so that nobody has counted what is in it; or most of its dead rows had to stay. Not all: a busy
/// queue makes new ones meanwhile.
fn is_pinned(bounds: &Bounds, before: &TableSeen, after: &TableSeen) -> bool {
    let dead = |table: &TableSeen| table.dead + table.toast_dead;
    after.vacuums == before.vacuums || bounds.is_littered(before) && dead(after) > dead(before) / 2
}

async fn rewrite(connection: &mut PgConnection, table: &TableSeen) -> Result<Compaction, sqlx::Error> {
    match store::rewrite(connection, table.hot()).await {
        Ok(()) => Ok(Compaction::Rewritten),
        Err(sqlx::Error::Database(answer)) if answer.code().as_deref() == Some("55P03") => {
            Ok(Compaction::Locked)
        }
        Err(error) if is_timed_out(&error) => Ok(Compaction::TookTooLong),
        Err(error) => Err(error),
    }
}
