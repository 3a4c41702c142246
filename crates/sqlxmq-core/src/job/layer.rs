//! Layers: users' functions around every job of a registry.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;

use super::{CurrentJob, JobEnd};
use crate::error::BoxError;
use crate::registry::{JobRegistry, NamedJob};
use crate::runner::dispatch::{panic_message, run_function};
use crate::runner::error::JobPanicked;

/// What [`JobRegistry::add_layer`] was given, without its type.
pub(crate) type Layer =
    dyn Fn(CurrentJob, Next) -> Pin<Box<dyn Future<Output = JobEnd> + Send>> + Send + Sync;

/// The rest of an attempt, as a layer sees it: the layers inside of it, and the job's function. See [`JobRegistry::add_layer`].
///
/// A layer that drops it runs neither.
pub struct Next {
    registry: Arc<JobRegistry>,
    job: &'static NamedJob,
    /// The layer that is next.
    place: usize,
}

impl Next {
    pub(crate) fn first(registry: Arc<JobRegistry>, job: &'static NamedJob) -> Self {
        Self {
            registry,
            job,
            place: 0,
        }
    }

    /// Runs what is inside, to the end of the attempt. A panic there is an end, with the error
    /// [`JobPanicked`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped, what is inside is dropped where it waits. A layer that does that returns an error, or the attempt
    /// fails as dropped.
    pub async fn run(self, job: CurrentJob) -> JobEnd {
        // The calls are inside, so that a panic before the first await is caught as well.
        let inside = async {
            match self.registry.layer(self.place) {
                Some(layer) => {
                    let layer = Arc::clone(layer);
                    let next = Self {
                        place: self.place + 1,
                        ..self
                    };
                    layer(job, next).await
                }
                None => run_function(self.job, self.registry, job).await,
            }
        };
        match AssertUnwindSafe(inside).catch_unwind().await {
            Ok(end) => end,
            Err(panic) => JobEnd::of_owner(Err(JobPanicked {
                message: panic_message(panic),
            }
            .into())),
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("job", &self.job.name())
            .finish_non_exhaustive()
    }
}

/// What a layer may return: a [`JobEnd`], or a `Result` of it whose error fails the attempt.
#[diagnostic::on_unimplemented(
    message = "a layer cannot return `{Self}`",
    label = "expected a future of `JobEnd` or of `Result<JobEnd, E>`",
    note = "a layer returns what `next.run(job).await` returned, or `JobEnd::new(job, outcome)`; `E` is any error that converts into `Box<dyn Error + Send + Sync>`"
)]
pub trait LayerResult {
    /// Returns the end of the attempt.
    fn into_end(self) -> JobEnd;
}

impl LayerResult for JobEnd {
    fn into_end(self) -> JobEnd {
        self
    }
}

impl<E: Into<BoxError>> LayerResult for Result<JobEnd, E> {
    fn into_end(self) -> JobEnd {
        self.unwrap_or_else(|error| JobEnd::of_owner(Err(error.into())))
    }
}
