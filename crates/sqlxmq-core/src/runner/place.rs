//! Where jobs run: each in a task of its own; for the testing kit, in the task of the test. What runs is the same.

use std::future::Future;
#[cfg(feature = "testing")]
use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use tokio_util::task::TaskTracker;

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

    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Tasks(tasks) => drop(tasks.spawn(job)),
            #[cfg(feature = "testing")]
            Self::Kept(jobs) => jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Box::pin(job)),
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
