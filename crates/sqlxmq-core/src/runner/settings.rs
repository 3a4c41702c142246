//! What the parts of a runner need to know of its options, and their defaults.

use std::time::Duration;

/// What the parts of a runner need to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) min_concurrency: usize,
    pub(crate) max_concurrency: usize,
    pub(crate) channel_names: Option<Vec<String>>,
    pub(crate) keep_alive: bool,
    pub(crate) lease: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) grace: Duration,
    pub(crate) listen: bool,
    pub(crate) max_claim_bytes: i64,
    pub(crate) compaction: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_concurrency: 16,
            max_concurrency: 32,
            channel_names: None,
            keep_alive: true,
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            listen: true,
            max_claim_bytes: 16 * 1024 * 1024,
            compaction: true,
        }
    }
}

impl Settings {
    /// Its lock and its timeouts are a session's, so not behind a transaction pooler.
    pub(crate) fn compacts(&self) -> bool {
        self.compaction && self.listen
    }
}
