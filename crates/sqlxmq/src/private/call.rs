//! One call of a job's function: it holds the job until the function takes it, or to the end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sqlxmq_core::{JobEnd, JobFuture, JobInput, Verdict};

use crate::{CurrentJob, JobRegistry};

/// One call.
pub struct Call {
    registry: Arc<JobRegistry>,
    /// `None`: the function has taken it, and completes it.
    job: Option<CurrentJob>,
}

const TAKEN: &str = "a job is given its `CurrentJob` once: two arguments are aliases of it";

impl Call {
    pub fn new(registry: Arc<JobRegistry>, job: CurrentJob) -> Self {
        Self {
            registry,
            job: Some(job),
        }
    }

    pub(super) fn input(&self) -> JobInput<'_> {
        JobInput::new(self.job.as_ref().expect(TAKEN), &self.registry)
    }

    pub(super) fn hand_over(&mut self) -> CurrentJob {
        self.job.take().expect(TAKEN)
    }

    /// Lends the job to the function, which leaves it to the runner.
    pub fn lend(&mut self) -> &mut CurrentJob {
        self.job.as_mut().expect(TAKEN)
    }

    pub fn end(self, verdict: Verdict) -> JobEnd {
        JobEnd::of_call(self.job, verdict)
    }
}

/// Returns the future of one call.
pub fn boxed(call: impl Future<Output = JobEnd> + Send + 'static) -> JobFuture {
    Box::pin(call)
}

/// Returns the future of the function. It is called inside of it, so that its panics belong to the job; and it is boxed, so that
/// a future that is not `Send` is reported once.
pub fn run<'a, T, F, C>(call: C) -> Pin<Box<dyn Future<Output = T> + Send + 'a>>
where
    F: Future<Output = T> + Send,
    C: FnOnce() -> F + Send + 'a,
    T: 'a,
{
    Box::pin(async move { call().await })
}
