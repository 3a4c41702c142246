//! Arguments that are made from the job.

use std::any::type_name;
use std::future::Future;

use super::CurrentJob;
use crate::error::BoxError;
use crate::registry::JobRegistry;

/// An argument of a job's function that is made from the job: a tenant from its channel's arguments, a connection from its
/// pool, a trace id from its payload.
///
/// If a type has this, its value comes from here; any other argument is context, found by its type. An error fails the attempt
/// before the function is called; [`permanent`](crate::permanent) makes it the last one.
///
/// # Examples
///
/// ```
/// use sqlxmq_core::{BoxError, ContextNeeds, FromJob, JobInput, permanent};
///
/// struct Tenant(u64);
///
/// impl FromJob for Tenant {
///     type Error = BoxError;
///
///     async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
///         Ok(Self(input.job().channel_args().parse().map_err(permanent)?))
///     }
/// }
/// ```
pub trait FromJob: Sized + Send {
    /// Why there is no value.
    type Error: Into<BoxError>;

    /// Returns the value for one attempt.
    fn from_job(input: &JobInput<'_>) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Names the context that [`from_job`](Self::from_job) asks for, so that a runner that lacks it says so when it starts.
    /// Default: none.
    fn needs(_needs: &mut ContextNeeds<'_>) {}
}

/// What an argument can be made from.
#[derive(Clone, Copy)]
pub struct JobInput<'a> {
    job: &'a CurrentJob,
    registry: &'a JobRegistry,
}

impl<'a> JobInput<'a> {
    #[doc(hidden)]
    pub fn new(job: &'a CurrentJob, registry: &'a JobRegistry) -> Self {
        Self { job, registry }
    }

    /// Returns the job.
    pub fn job(&self) -> &'a CurrentJob {
        self.job
    }

    /// Returns a clone of the value of type `C` that a layer has given to [`CurrentJob::set_context`], or else the program to
    /// [`JobRegistry::set_context`].
    ///
    /// # Panics
    ///
    /// Panics if there is none. Ask for it in [`FromJob::needs`], and the runner does not start without it.
    pub fn context<C: Clone + Send + Sync + 'static>(&self) -> C {
        self.given_context()
    }

    /// [`context`](Self::context) for generated code, which checks the type elsewhere.
    #[doc(hidden)]
    pub fn given_context<C: 'static>(&self) -> C {
        let of_layers = self.job.given_context();
        of_layers.unwrap_or_else(|| self.registry.given_context())
    }
}

impl std::fmt::Debug for JobInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobInput")
            .field("job", self.job)
            .finish_non_exhaustive()
    }
}

/// The context that an argument asks for: see [`FromJob::needs`].
#[derive(Debug)]
pub struct ContextNeeds<'a> {
    registry: &'a JobRegistry,
    missing: Option<&'static str>,
}

impl<'a> ContextNeeds<'a> {
    #[doc(hidden)]
    pub fn new(registry: &'a JobRegistry) -> Self {
        Self {
            registry,
            missing: None,
        }
    }

    /// Says that a value of type `C` is needed.
    pub fn context<C: Clone + Send + Sync + 'static>(&mut self) -> &mut Self {
        if !self.registry.has_context::<C>() {
            self.missing.get_or_insert(type_name::<C>());
        }
        self
    }

    /// Returns the first type that is missing.
    #[doc(hidden)]
    pub fn missing(&self) -> Option<&'static str> {
        self.missing
    }
}
