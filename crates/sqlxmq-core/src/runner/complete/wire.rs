//! A connection that outcomes go over, and which timeline of the server it leads to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::runner::session::{Role, STATEMENT_DEADLINE, Session, within};
use crate::runner::shared::Shared;
use crate::store::runner as store;

pub(super) struct Wire {
    pub(super) session: Session,
    known_generation: u64,
    /// Of the server that it led to last.
    timeline: Option<String>,
    /// Who is told the timeline.
    tells: Option<Arc<Shared>>,
}

impl Wire {
    /// The one whose timeline jobs note before they commit transactions of their own.
    pub(super) fn first(shared: &Arc<Shared>) -> Self {
        Self {
            tells: Some(Arc::clone(shared)),
            ..Self::beside(shared)
        }
    }

    fn beside(shared: &Arc<Shared>) -> Self {
        Self {
            session: Session::new(shared.target.clone(), Role::Complete),
            known_generation: 0,
            timeline: None,
            tells: None,
        }
    }

    /// Where the transaction ids that it answers with mean something.
    pub(super) fn timeline(&self) -> Option<String> {
        self.timeline.clone()
    }

    /// The connection, with the timeline of its server noted.
    pub(super) async fn take(&mut self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.session.take().await?;
        if self.session.generation() != self.known_generation {
            // Some servers do not tell. Then transaction ids are compared as if there were one timeline.
            let timeline = within(STATEMENT_DEADLINE, store::timeline(&mut connection)).await;
            if let Err(error) = &timeline
                && !matches!(error, sqlx::Error::Database(_))
            {
                return timeline.map(|_| unreachable!("BUG: an error became none"));
            }
            self.timeline = timeline.ok();
            if let Some(shared) = &self.tells {
                shared.set_timeline(self.timeline.clone());
            }
            self.known_generation = self.session.generation();
        }
        Ok(connection)
    }
}

/// How long a flush waits for a second connection at most, which it can do without.
const OPENED_WITHIN: Duration = Duration::from_millis(500);

/// How long one is done without that could not be opened. It doubles up to [`WITHOUT_MAX`]: others may want the last connections that
/// the server has.
const WITHOUT: Duration = Duration::from_secs(60);
const WITHOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long one is kept that nothing goes over.
const KEPT: Duration = Duration::from_secs(60);

/// A second wire, for what is worth one. Closed while there is nothing of the kind.
pub(super) struct SecondWire {
    pub(super) wire: Wire,
    used_at: Instant,
    without: Duration,
    without_until: Option<Instant>,
}

impl SecondWire {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            wire: Wire::beside(shared),
            used_at: Instant::now(),
            without: Duration::ZERO,
            without_until: None,
        }
    }

    /// Whether it is connected, for whoever uses it then.
    pub(super) fn is_ready(&mut self) -> bool {
        let is_ready = self.wire.session.is_connected();
        if is_ready {
            self.used_at = Instant::now();
        }
        is_ready
    }

    /// Connects it, for the next flush: this one goes over the first wire meanwhile.
    pub(super) async fn connect(&mut self) {
        let now = Instant::now();
        if self.wire.session.is_connected() || self.without_until.is_some_and(|until| now < until) {
            return;
        }
        // Nothing is sent over a connection whose opening is dropped.
        match within(OPENED_WITHIN, self.wire.take()).await {
            Ok(connection) => {
                self.wire.session.put_back(connection);
                self.used_at = now;
                self.without = Duration::ZERO;
                self.without_until = None;
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "runner completes over one connection"
                );
                self.without = (self.without * 2).clamp(WITHOUT, WITHOUT_MAX);
                self.without_until = Some(Instant::now() + self.without);
            }
        }
    }

    /// When it will have been of no use for so long that it is closed. `None`: it is not connected.
    pub(super) fn kept_until(&self) -> Option<Instant> {
        self.wire.session.is_connected().then(|| self.used_at + KEPT)
    }

    pub(super) async fn close_if_unused(&mut self) {
        if self.kept_until().is_some_and(|until| until <= Instant::now()) {
            self.wire.session.close().await;
        }
    }
}
