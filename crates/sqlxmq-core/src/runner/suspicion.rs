//! Silence on one connection of a runner throws doubt on the others, which go through the same network.
//!
//! Otherwise each would find out by itself, one deadline after the other: a runner whose slots were full when the network went
//! silent used up one to store its outcomes and only then another to claim.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A busy server takes a moment for an answer now and then, which must not cost connections. Short enough for the renewal of a
/// short lease, which is given up first.
const LONG: Duration = Duration::from_millis(500);

/// What the connections of a runner know about each other. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suspicion(Arc<Mutex<Option<Instant>>>);

impl Suspicion {
    /// A statement that was sent at `sent` has not been answered until now.
    pub(crate) fn raise(&self, sent: Instant, now: Instant) {
        if now.saturating_duration_since(sent) < LONG {
            return;
        }
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = (*since).max(Some(sent));
    }

    /// Whether a connection that was last answered at `answered` may be silent as well.
    pub(crate) fn is_about(&self, answered: Instant) -> bool {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| answered < since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_answered_since_are_beyond_suspicion() {
        let (suspicion, sent) = (Suspicion::default(), Instant::now());
        let earlier = sent.checked_sub(LONG).unwrap_or(sent);
        assert!(!suspicion.is_about(earlier));
        suspicion.clone().raise(sent, sent + LONG);
        assert!(suspicion.is_about(earlier));
        assert!(!suspicion.is_about(sent + LONG / 2));
        // Older silence does not lift it.
        suspicion.raise(earlier, earlier + LONG);
        assert!(suspicion.is_about(earlier));
    }

    #[test]
    fn an_answer_that_is_a_little_late_is_no_silence() {
        let (suspicion, sent) = (Suspicion::default(), Instant::now());
        suspicion.raise(sent + LONG, sent + LONG + LONG / 2);
        assert!(!suspicion.is_about(sent));
    }
}
