//! A fetch of payloads that goes on beside the claims, over a connection of its own: what is large, or slow on its way, does not hold
//! up what is claimed after it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use super::fetch::Unfetched;
use super::second::Second;
use super::session::{Role, Session};
use super::shared::Shared;
use super::undelivered::Undelivered;

/// A connection is worth it for payloads that have to be fetched more often than that.
const OFTEN: Duration = Duration::from_secs(60);

/// One fetch at a time. Nobody waits for it: what is claimed meanwhile is fetched over the connection that claims.
pub(super) struct FetchBeside {
    shared: Arc<Shared>,
    undelivered: Arc<Undelivered>,
    second: Second,
    session: Session,
    /// Which connection claimed when this one was opened. A later one may lead to another server, which this one knows nothing of.
    claimed_over: u64,
    /// When payloads had to be fetched last.
    needed_at: Option<Instant>,
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
            claimed_over: 0,
            needed_at: None,
            under_way: JoinSet::new(),
        }
    }

    fn unconnected(shared: &Shared) -> Session {
        Session::new(shared.target.clone(), Role::Fetch)
    }

    /// Whether it can fetch what was claimed over that connection, at once.
    pub(super) fn is_free(&mut self, claims: &Session) -> bool {
        if !self.under_way.is_empty() {
            return false;
        }
        if self.claimed_over != claims.generation() || !self.session.is_trusted() {
            self.disconnect();
        }
        self.second.is_ready(&self.session)
    }

    /// Connects it, for the next time, if there was one not long ago.
    pub(super) async fn connect_if_worth_it(&mut self, claimed_over: u64) {
        let now = Instant::now();
        let last = self.needed_at.replace(now);
        let is_worth_it = last.is_some_and(|last| now.saturating_duration_since(last) < OFTEN);
        if !is_worth_it || !self.under_way.is_empty() {
            return;
        }
        // What is connected still has been so since that one was.
        self.claimed_over = claimed_over;
        self.second.connect(&mut self.session).await;
    }

    /// When it is free.
    pub(super) fn begin(&mut self, jobs: Unfetched) {
        self.needed_at = Some(Instant::now());
        let mut session = std::mem::replace(&mut self.session, Self::unconnected(&self.shared));
        let undelivered = Arc::clone(&self.undelivered);
        self.under_way.spawn(async move {
            let fetched = jobs.fetch(&mut session, &undelivered).await;
            (session, fetched)
        });
    }

    /// Takes the connection back from a fetch that has ended. Nobody is waited for.
    pub(super) fn reap(&mut self) {
        if let Some(ended) = self.under_way.try_join_next() {
            self.take_back(ended);
        }
    }

    fn take_back(&mut self, ended: Result<(Session, Result<(), sqlx::Error>), JoinError>) {
        match ended {
            Ok((session, fetched)) => {
                self.session = session;
                // It was in use until now.
                self.second.is_ready(&self.session);
                if let Err(error) = fetched {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "payloads could not be fetched, and their jobs are given back"
                    );
                }
            }
            // Aborted with the runtime, which whoever asks ends with as well.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    resume_unwind(panic);
                }
            }
        }
    }

    /// When to see whether the connection is of use still. `None`: there is none.
    pub(super) fn look_again_at(&self) -> Option<Instant> {
        match self.under_way.is_empty() {
            true => self.second.kept_until(&self.session),
            false => Some(Instant::now() + OFTEN),
        }
    }

    pub(super) async fn close_if_unused(&mut self) {
        self.second.close_if_unused(&mut self.session).await;
    }

    /// Gives the connection up, if no fetch is under way: the one that claims may need the place.
    pub(super) fn disconnect(&mut self) {
        self.session = Self::unconnected(&self.shared);
    }

    /// Ends the fetch that is under way, whose jobs are given back, and says goodbye.
    pub(super) async fn close(mut self) {
        self.under_way.shutdown().await;
        self.session.close().await;
    }
}
