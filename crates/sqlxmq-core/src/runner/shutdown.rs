//! The handle of a running runner: how to ask it, and how to stop it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::RunnerEnded;
use super::health::Health;
use super::shared::Shared;

/// What the supervisor was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing: it runs.
    No,
    /// No more claims. Running jobs may take as long as they like.
    Drain,
    /// No more claims. What runs at that time is given back.
    At(Instant),
}

impl Stop {
    /// The stricter of two orders, so that stopping twice never takes longer than stopping once.
    pub(crate) fn stricter(self, other: Stop) -> Stop {
        match (self, other) {
            (Stop::At(one), Stop::At(two)) => Stop::At(one.min(two)),
            (Stop::At(at), _) | (_, Stop::At(at)) => Stop::At(at),
            (Stop::Drain, _) | (_, Stop::Drain) => Stop::Drain,
            (Stop::No, Stop::No) => Stop::No,
        }
    }
}

/// A running runner.
///
/// Dropping it stops the runner from claiming. Jobs that run go on under a lease that is renewed, as long as the Tokio runtime
/// lives.
#[must_use = "the runner stops when its handle is dropped: keep it, and wait with `shutdown_on_signal`"]
pub struct JobRunnerHandle {
    shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    ended: watch::Receiver<Option<RunnerEnded>>,
    left: Arc<AtomicUsize>,
}

impl JobRunnerHandle {
    pub(crate) fn new(
        shared: Arc<Shared>,
        stop: watch::Sender<Stop>,
        ended: watch::Receiver<Option<RunnerEnded>>,
        left: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            shared,
            stop,
            ended,
            left,
        }
    }

    /// Returns the number of running jobs: started, and their outcome not stored yet.
    pub fn num_running_jobs(&self) -> usize {
        self.shared.slots.running()
    }

    /// Waits until no job runs, at most for `timeout`. The runner goes on claiming.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_jobs_finish(&self, timeout: Duration) {
        // Timed out is as good an end as any: the caller asks for the number.
        let _ = tokio::time::timeout(timeout, self.shared.slots.held_below(1)).await;
    }

    /// Stops the runner as [`shutdown`](Self::shutdown) with the grace of [`set_grace`], 30 s by default.
    ///
    /// [`set_grace`]: crate::JobRunnerOptions::set_grace
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. The runner stops all the same; call again to wait for it.
    pub async fn stop(&mut self) {
        self.shutdown(self.shared.settings.grace).await;
    }

    /// Stops claiming, gives back what was not started, waits up to `grace` for running jobs, cancels the rest and gives it
    /// back.
    ///
    /// Jobs that are given back have not used up an attempt. Returns the number of jobs that were still running at the
    /// deadline: their functions are told by [`CurrentJob::cancelled`] and can't complete any more. Calling it again is fine,
    /// the earlier deadline counts.
    ///
    /// [`CurrentJob::cancelled`]: crate::CurrentJob::cancelled
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Claiming stops at the first poll and stays stopped; call again to keep waiting.
    pub async fn shutdown(&self, grace: Duration) -> usize {
        let now = Instant::now();
        // A grace beyond what a clock can hold has no deadline.
        let asked = now.checked_add(grace).map_or(Stop::Drain, Stop::At);
        self.stop.send_modify(|stop| *stop = stop.stricter(asked));
        self.finished().await;
        self.left.load(Ordering::Acquire)
    }

    /// Waits until the runner has ended, and returns why.
    ///
    /// Without [`shutdown`](Self::shutdown) this happens only if the runner can't go on. It does not stop the runner.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn finished(&self) -> RunnerEnded {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(RunnerEnded::Stopped),
            // The supervisor was dropped with its runtime.
            Err(_) => RunnerEnded::RuntimeGone,
        }
    }

    /// Returns how the runner is doing.
    pub fn health(&self) -> Health {
        let is_stopping = self.shared.stopping.is_cancelled() || self.ended.borrow().is_some();
        self.shared.vitals.health(self.num_running_jobs(), is_stopping)
    }

    /// Waits for SIGTERM or Ctrl-C, then stops as [`shutdown`](Self::shutdown) with the grace of [`set_grace`].
    ///
    /// A second signal ends the grace. Returns early if the runner ends by itself. Returns the number of jobs that were still
    /// running at the deadline.
    ///
    /// [`set_grace`]: crate::JobRunnerOptions::set_grace
    ///
    /// # Errors
    ///
    /// Returns an error if the signals can't be listened for. The runner goes on then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropped before a signal came, the runner goes on.
    pub async fn shutdown_on_signal(&self) -> std::io::Result<usize> {
        let mut signals = Signals::new()?;
        tokio::select! {
            // A signal that was not taken is remembered by Tokio until `signals` is dropped.
            () = signals.next() => {}
            // Watches a value: loses nothing.
            _ = self.finished() => {}
        }
        tokio::select! {
            // The runner goes on stopping if this is dropped.
            left = self.shutdown(self.shared.settings.grace) => Ok(left),
            // As above.
            () = signals.next() => Ok(self.shutdown(Duration::ZERO).await),
        }
    }
}

impl Drop for JobRunnerHandle {
    fn drop(&mut self) {
        self.stop.send_modify(|stop| *stop = stop.stricter(Stop::Drain));
    }
}

impl fmt::Debug for JobRunnerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRunnerHandle")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            // Cancel safe, says Tokio.
            _ = self.interrupt.recv() => {}
            // Cancel safe, says Tokio.
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_twice_keeps_the_earlier_deadline() {
        let now = Instant::now();
        let (soon, late) = (Stop::At(now), Stop::At(now + Duration::from_secs(9)));
        assert_eq!(late.stricter(soon), soon);
        assert_eq!(soon.stricter(late), soon);
        assert_eq!(soon.stricter(Stop::Drain), soon);
        assert_eq!(Stop::Drain.stricter(late), late);
        assert_eq!(Stop::No.stricter(Stop::Drain), Stop::Drain);
    }
}
