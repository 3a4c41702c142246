//! Compaction: keeps the tables small, beside everything else.
//!
//! A vacuum may take a minute, so it has a part and a connection of its own, which is opened when there is something to do. Who looks for
//! that is the maintainer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session::{Role, Session, within};
use super::shared::Shared;
use crate::compact::{Bounds, CompactedTable, Pace, Round, round};
use crate::store::compact as store;

/// Longer than what its statements may take: each vacuum a minute.
const ROUND_DEADLINE: Duration = Duration::from_secs(15 * 60);

pub(crate) struct Compactor {
    shared: Arc<Shared>,
    session: Session,
    /// The connection that holds the lock.
    locked_generation: u64,
    bounds: Bounds,
    pace: Pace,
}

impl Compactor {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let session = Session::new(shared.target.clone(), Role::Compact);
        Self {
            shared,
            session,
            locked_generation: 0,
            bounds: Bounds::default(),
            pace: Pace::new(Instant::now()),
        }
    }

    /// Runs until the runner stops.
    pub(crate) async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let (rest_until, again_at) = (self.pace.rest_until, self.pace.again_at);
            tokio::select! {
                // A hint that is not taken stays, and a timer loses nothing.
                () = async {
                    tokio::time::sleep_until(rest_until.into()).await;
                    shared.tables_are_large.notified().await;
                } => {}
                // A timer loses nothing.
                () = tokio::time::sleep_until(again_at.unwrap_or(rest_until).into()), if again_at.is_some() => {}
                // A token loses nothing.
                () = shared.stopping.cancelled() => break,
            }
            let answer = tokio::select! {
                answer = self.compact() => answer,
                // A vacuum that is dropped is ended by its server, which looks whether we are there each second.
                () = shared.stopping.cancelled() => break,
            };
            let now = Instant::now();
            match answer {
                Ok(Done::Round(round)) => {
                    round.tables.iter().for_each(tell);
                    self.pace.done(now, &round);
                }
                Ok(Done::StaysPinned) => {}
                Ok(Done::ByAnother) => self.pace.another(now),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to compact the tables, runner will try again"
                    );
                    self.pace.failed(now);
                }
            }
            // As long as something is left, the lock says that we see to it.
            if self.pace.again_at.is_none() {
                self.session.close().await;
            }
        }
        self.session.close().await;
    }

    /// Does a round, if there is a point in it.
    async fn compact(&mut self) -> Result<Done, sqlx::Error> {
        let mut connection = self.session.take().await?;
        let generation = self.session.generation();
        let is_locked = self.locked_generation == generation;
        let now = Instant::now();
        let (pace, bounds) = (&mut self.pace, &self.bounds);
        let watch = self.shared.target.options_for(Role::Compact);
        let answer = within(ROUND_DEADLINE, async {
            if !is_locked && !store::begin(&mut connection).await? {
                return Ok(Done::ByAnother);
            }
            if pace.is_pinned() && pace.stays_pinned(now, store::horizon(&mut connection).await?) {
                return Ok(Done::StaysPinned);
            }
            round(&mut connection, &watch, bounds, &|table| {
                pace.may_rewrite_table(now, table)
            })
            .await
            .map(Done::Round)
        })
        .await;
        let done = self.session.settle(connection, answer)?;
        if !matches!(done, Done::ByAnother) {
            self.locked_generation = generation;
        }
        Ok(done)
    }
}

enum Done {
    Round(Round),
    /// Its vacuums would be in vain still.
    StaysPinned,
    /// Another session is at it.
    ByAnother,
}

fn tell(done: &CompactedTable) {
    tracing::debug!(
        table = done.table,
        bytes_before = done.bytes_before,
        bytes_after = done.bytes_after,
        outcome = ?done.outcome,
        "looked after a table"
    );
}
