//! Where jobs run: each in a task of its own; for the testing kit, in the task of the test. What runs is the same.

use std::future::{Future, poll_fn};
use std::pin::Pin;
#[cfg(feature = "testing")]
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;
use tracing::instrument::Instrumented;

/// Other tasks wait for a thread that does not come back. After this long it is no accident any more.
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// Where jobs run.
pub(crate) enum Place {
    /// Beside each other, in tasks of the runtime.
    Tasks(TaskTracker),
    /// One after the other, in whatever task calls [`Place::run_kept`].
    #[cfg(feature = "testing")]
    Kept(Mutex<Vec<JobTask>>),
}

#[cfg(feature = "testing")]
pub(crate) type JobTask = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Place {
    pub(crate) fn tasks() -> Self {
        Self::Tasks(TaskTracker::new())
    }

    pub(crate) fn spawn(&self, job: Instrumented<impl Future<Output = ()> + Send + 'static>) {
        // In a box from here on: every task it is handed to would copy it, and it holds all that a job's function holds.
        let job = watched(Box::pin(job));
        match self {
            Self::Tasks(tasks) => drop(tasks.spawn(job)),
            #[cfg(feature = "testing")]
            Self::Kept(jobs) => jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Box::pin(job)),
        }
    }

    /// Does something short beside whatever asks for it; for the testing kit, at once.
    pub(crate) fn beside(&self, work: impl FnOnce() + Send + 'static) {
        match self {
            Self::Tasks(tasks) => drop(tasks.spawn(async move { work() })),
            #[cfg(feature = "testing")]
            Self::Kept(_) => work(),
        }
    }

    /// Whether a job's task ends only when its outcome is stored: a test looks at the queue right afterwards.
    pub(crate) fn awaits_outcomes(&self) -> bool {
        match self {
            Self::Tasks(_) => false,
            #[cfg(feature = "testing")]
            Self::Kept(_) => true,
        }
    }

    /// Runs what was started since the last call, here.
    #[cfg(feature = "testing")]
    pub(crate) async fn run_kept(&self) {
        let Self::Kept(jobs) = self else { return };
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match job {
                Some(job) => job.await,
                None => return,
            }
        }
    }
}

/// Runs the job, and says so once if it holds its thread for long: nothing else would, and everybody wonders why jobs are slow.
async fn watched(mut job: Pin<Box<Instrumented<impl Future<Output = ()>>>>) {
    let span = job.span().clone();
    let mut is_told = false;
    poll_fn(move |context| {
        let started = Instant::now();
        let poll = job.as_mut().poll(context);
        let held = started.elapsed();
        if held > LONGEST_POLL && !is_told {
            is_told = true;
            span.in_scope(|| {
                tracing::warn!(
                    held_ms = held.as_millis() as u64,
                    "job held its thread, and other jobs waited: move blocking work into `tokio::task::spawn_blocking`"
                );
            });
        }
        poll
    })
    .await;
}
