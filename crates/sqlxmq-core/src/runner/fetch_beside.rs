//! A fetch of payloads that goes on beside the claims, over a connection of its own: what is large, or slow on its way, does not hold
//! up what is claimed after it.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::fetch::Unfetched;
use super::second::Second;
use super::session::{Role, Session};
use super::shared::Shared;
use super::undelivered::Undelivered;

/// One fetch at a time: what is claimed and not started is in memory.
pub(super) struct FetchBeside {
    shared: Arc<Shared>,
    undelivered: Arc<Undelivered>,
    second: Second,
    session: Session,
    /// Dropped, it is ended, and its jobs are given back.
    under_way: JoinSet<(Session, Result<(), sqlx::Error>)>,
}

impl FetchBeside {
    pub(super) fn new(shared: &Arc<Shared>, undelivered: &Arc<Undelivered>) -> Self {
        Self {
            shared: Arc::clone(shared),
            undelivered: Arc::clone(undelivered),
            second: Second::new(),
            session: Self::unconnected(shared),
            under_way: JoinSet::new(),
        }
    }

    fn unconnected(shared: &Shared) -> Session {
        Session::new(shared.target.clone(), Role::Fetch)
    }

    /// Whether there is a connection for it, which is in use as long as a fetch is under way.
    pub(super) fn is_ready(&mut self) -> bool {
        !self.under_way.is_empty() || self.second.is_ready(&self.session)
    }

    /// Connects it, for the next time.
    pub(super) async fn connect(&mut self) {
        self.second.connect(&mut self.session).await;
    }

    /// When there is none under way.
    pub(super) fn begin(&mut self, jobs: Unfetched) {
        let mut session = std::mem::replace(&mut self.session, Self::unconnected(&self.shared));
        let undelivered = Arc::clone(&self.undelivered);
        let fetch = async move {
            let fetched = jobs.fetch(&mut session, &undelivered).await;
            (session, fetched)
        };
        self.under_way.spawn(fetch);
    }

    /// What became of a fetch that has ended since this was asked for. Nobody is waited for.
    pub(super) fn outcome(&mut self) -> Result<(), sqlx::Error> {
        match self.under_way.try_join_next() {
            Some(ended) => self.take_back(ended),
            None => Ok(()),
        }
    }

    /// Waits for the fetch that is under way, if there is one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it stays under way.
    pub(super) async fn ended(&mut self) -> Result<(), sqlx::Error> {
        match self.under_way.join_next().await {
            Some(ended) => self.take_back(ended),
            None => Ok(()),
        }
    }

    fn take_back(
        &mut self,
        ended: Result<(Session, Result<(), sqlx::Error>), JoinError>,
    ) -> Result<(), sqlx::Error> {
        match ended {
            Ok((session, fetched)) => {
                self.session = session;
                fetched
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime ends, and whoever asks with it.
                Err(_) => Ok(()),
            },
        }
    }

    pub(super) async fn close_if_unused(&mut self) {
        self.second.close_if_unused(&mut self.session).await;
    }

    /// Ends the fetch that is under way, whose jobs are given back, and says goodbye.
    pub(super) async fn close(mut self) {
        self.under_way.shutdown().await;
        self.session.close().await;
    }
}
