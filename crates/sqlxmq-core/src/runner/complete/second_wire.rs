//! A second connection for outcomes, while there is something that is worth one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::runner::session::within;
use crate::runner::shared::Shared;

/// How long a flush waits for a second connection at most, which it can do without.
const OPENED_WITHIN: Duration = Duration::from_millis(500);

/// How long one is done without that could not be opened. It doubles up to [`WITHOUT_MAX`]: others may want the last connections that
/// the server has.
const WITHOUT: Duration = Duration::from_secs(60);
const WITHOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long one is kept that nothing goes over.
const KEPT: Duration = Duration::from_secs(60);

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
