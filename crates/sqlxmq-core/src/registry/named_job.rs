//! One job as `#[job]` declares it: its name, its defaults, its function.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use uuid::Uuid;

use crate::error::BoxError;
use crate::job::CurrentJob;
use crate::registry::JobRegistry;
use crate::spawn::JobBuilder;

/// A running job function.
#[doc(hidden)]
pub type JobFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'static>>;

/// Sets a job's defaults on its builder.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct BuildFn(pub for<'a> fn(&'a mut JobBuilder<'static>) -> &'a mut JobBuilder<'static>);

/// Looks up the context of a job's function, calls it, and boxes its error.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct RunFn(pub fn(&JobRegistry, CurrentJob) -> JobFuture);

/// A type of context that a job's function asks for.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct ContextNeed {
    /// Returns the type's name, for the error message.
    pub type_name: fn() -> &'static str,
    /// Returns whether the registry has a value of the type.
    pub is_provided: fn(&JobRegistry) -> bool,
}

/// A job: the name it is queued under, its defaults, and the function that runs it.
///
/// `#[job]` turns a function into a static of this type.
pub struct NamedJob {
    name: &'static str,
    build: BuildFn,
    run: RunFn,
    needs: &'static [ContextNeed],
}

impl NamedJob {
    /// Returns a job; called by the code that `#[job]` generates.
    #[doc(hidden)]
    pub const fn new_internal(
        name: &'static str,
        build: BuildFn,
        run: RunFn,
        needs: &'static [ContextNeed],
    ) -> Self {
        Self {
            name,
            build,
            run,
            needs,
        }
    }

    /// Returns a builder with the name and the defaults of this job, and a new id.
    pub fn builder(&self) -> JobBuilder<'static> {
        self.with_defaults(JobBuilder::new(self.name))
    }

    /// Returns a builder with the name and the defaults of this job, and the given id.
    pub fn builder_with_id(&self, id: Uuid) -> JobBuilder<'static> {
        self.with_defaults(JobBuilder::new_with_id(id, self.name))
    }

    /// Returns the name the job is queued under.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the function that runs the job.
    pub(crate) fn run_fn(&self) -> RunFn {
        self.run
    }

    /// Returns the types of context the job's function asks for.
    pub(crate) fn needs(&self) -> &'static [ContextNeed] {
        self.needs
    }

    fn with_defaults(&self, mut builder: JobBuilder<'static>) -> JobBuilder<'static> {
        (self.build.0)(&mut builder);
        builder
    }
}

impl fmt::Debug for NamedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedJob")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
