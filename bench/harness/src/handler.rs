//! What each job does: next to nothing, and be counted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Called by each job, once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handler(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    handled: AtomicUsize,
    stamped: bool,
    started_after_us: Mutex<Vec<u32>>,
    starts: Option<mpsc::UnboundedSender<Instant>>,
}

impl Handler {
    /// One that counts, and with `stamped` reads from each payload when the job was spawned.
    pub(crate) fn counting(stamped: bool) -> Self {
        Self(Arc::new(Inner {
            stamped,
            ..Inner::default()
        }))
    }

    /// One that also tells of each start.
    pub(crate) fn telling(starts: mpsc::UnboundedSender<Instant>) -> Self {
        Self(Arc::new(Inner {
            starts: Some(starts),
            ..Inner::default()
        }))
    }

    /// A job has started. `payload` is its JSON, as far as the queue has it at hand.
    pub fn start(&self, payload: Option<&str>) {
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        if let Some(starts) = &self.0.starts {
            let _ = starts.send(Instant::now());
        }
        if self.0.stamped
            && let Some(spawned) = payload.and_then(stamp_of)
        {
            let after = now_us().saturating_sub(spawned);
            let mut all = self
                .0
                .started_after_us
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            all.push(u32::try_from(after).unwrap_or(u32::MAX));
        }
    }

    /// Whether the payload is wanted at all.
    pub fn reads_payload(&self) -> bool {
        self.0.stamped
    }

    /// How many jobs have started.
    pub fn handled(&self) -> usize {
        self.0.handled.load(Ordering::Relaxed)
    }

    pub(crate) fn latencies(&self) -> Vec<Duration> {
        let all = self
            .0
            .started_after_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|&us| Duration::from_micros(us.into())).collect()
    }
}

/// The payload of a job that is spawned now.
pub(crate) fn stamp() -> String {
    format!(r#"{{"at":{}}}"#, now_us())
}

/// Reads the digits after the first colon, however the queue has spaced its JSON.
fn stamp_of(payload: &str) -> Option<u64> {
    let (_, number) = payload.split_once(':')?;
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
