//! A connection that outcomes go over, and which timeline of the server it leads to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::runner::session::{Role, STATEMENT_DEADLINE, Session, within};
use crate::runner::shared::Shared;
use crate::store::runner as store;

/// How long one is done without that could not be opened.
const WITHOUT: Duration = Duration::from_secs(60);

pub(super) struct Wire {
    shared: Arc<Shared>,
    pub(super) session: Session,
    known_generation: u64,
    without_until: Option<Instant>,
}

impl Wire {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            session: Session::new(shared.target.clone(), Role::Complete),
            known_generation: 0,
            without_until: None,
        }
    }

    /// Whether there is a connection, or one can be had: else everything goes over another.
    pub(super) async fn is_there(&mut self) -> bool {
        let now = Instant::now();
        if self.session.is_connected() {
            return true;
        }
        if self.without_until.is_some_and(|until| now < until) {
            return false;
        }
        match self.take().await {
            Ok(connection) => {
                self.session.put_back(connection);
                self.without_until = None;
                true
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "runner completes over one connection"
                );
                self.without_until = Some(now + WITHOUT);
                false
            }
        }
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
            self.shared.set_timeline(timeline.ok());
            self.known_generation = self.session.generation();
        }
        Ok(connection)
    }
}
