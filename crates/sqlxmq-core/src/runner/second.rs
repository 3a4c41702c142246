//! A second connection of a kind: while there is something that is worth one.

use std::time::{Duration, Instant};

use super::session::{Session, within};

/// How long one is waited for at most, since it can be done without.
const OPENED_WITHIN: Duration = Duration::from_millis(500);

/// How long one is done without that could not be opened. It doubles up to [`WITHOUT_MAX`]: others may want the last connections that
/// the server has.
const WITHOUT: Duration = Duration::from_secs(60);
const WITHOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long one is kept that nothing goes over.
const KEPT: Duration = Duration::from_secs(60);

/// When to have one, and how long. The connection itself is its owner's.
pub(super) struct Second {
    used_at: Instant,
    without: Duration,
    without_until: Option<Instant>,
}

impl Second {
    pub(super) fn new() -> Self {
        Self {
            used_at: Instant::now(),
            without: Duration::ZERO,
            without_until: None,
        }
    }

    /// Whether it is connected, for whoever uses it then.
    pub(super) fn is_ready(&mut self, session: &Session) -> bool {
        let is_ready = session.is_connected();
        if is_ready {
            self.used_at = Instant::now();
        }
        is_ready
    }

    /// Connects it, for the next time: what there is goes over the first connection meanwhile.
    pub(super) async fn connect(&mut self, session: &mut Session) {
        let now = Instant::now();
        if session.is_connected() || self.without_until.is_some_and(|until| now < until) {
            return;
        }
        // Nothing is sent over a connection whose opening is dropped.
        match within(OPENED_WITHIN, session.take()).await {
            Ok(connection) => {
                session.put_back(connection);
                *self = Self {
                    used_at: now,
                    ..Self::new()
                };
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    role = session.role().as_str(),
                    "runner does without a second connection"
                );
                self.without = (self.without * 2).clamp(WITHOUT, WITHOUT_MAX);
                self.without_until = Some(Instant::now() + self.without);
            }
        }
    }

    /// When it will have been of no use for so long that it is closed. `None`: it is not connected.
    pub(super) fn kept_until(&self, session: &Session) -> Option<Instant> {
        session.is_connected().then(|| self.used_at + KEPT)
    }

    pub(super) async fn close_if_unused(&mut self, session: &mut Session) {
        if self
            .kept_until(session)
            .is_some_and(|until| until <= Instant::now())
        {
            session.close().await;
        }
    }
}

/// Waits until then; without a time, for ever.
///
/// # Cancel safety
///
/// Cancel safe.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
