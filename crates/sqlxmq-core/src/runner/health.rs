//! How a runner is doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a runner is doing, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long ago a claim was answered last, whether it found jobs or not. `None`: not yet.
    ///
    /// More than a few poll intervals while there are free slots is a reason to worry.
    pub last_claim: Option<Duration>,
    /// How long ago the lease was renewed last. `None`: not yet.
    ///
    /// A runner without jobs renews nothing, so this is telling only while `running_jobs` is not 0: more than the lease means
    /// that jobs were lost.
    pub last_renewal: Option<Duration>,
    /// Whether the connection that claims is open.
    pub connected: bool,
    /// Whether the runner is listening for new jobs. Without, it polls.
    pub listening: bool,
    /// How many jobs are running: started, and their outcome not stored yet.
    pub running_jobs: usize,
    /// Whether the runner was told to stop, or has ended.
    pub stopping: bool,
}

/// Where the parts of a runner note what went well.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    claimed_at: Mutex<Option<Instant>>,
    renewed_at: Mutex<Option<Instant>>,
    pub(crate) connected: AtomicBool,
    pub(crate) listening: AtomicBool,
    /// Nothing to do, and spawns notify: the poller looks at the schedule once per poll interval.
    pub(crate) asleep: AtomicBool,
}

impl Vitals {
    pub(crate) fn claimed(&self) {
        note(&self.claimed_at);
        self.connected.store(true, Ordering::Relaxed);
    }

    pub(crate) fn renewed(&self) {
        note(&self.renewed_at);
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Acquire)
    }

    pub(crate) fn health(&self, running_jobs: usize, stopping: bool) -> Health {
        Health {
            last_claim: age(&self.claimed_at),
            last_renewal: age(&self.renewed_at),
            connected: self.connected.load(Ordering::Relaxed),
            listening: self.is_listening(),
            running_jobs,
            stopping,
        }
    }
}

fn note(at: &Mutex<Option<Instant>>) {
    *at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

fn age(at: &Mutex<Option<Instant>>) -> Option<Duration> {
    at.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .map(|at| at.elapsed())
}
