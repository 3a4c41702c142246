//! A connection that outcomes go over, and which timeline of the server it leads to.

use std::sync::Arc;

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

    pub(super) fn beside(shared: &Arc<Shared>) -> Self {
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
