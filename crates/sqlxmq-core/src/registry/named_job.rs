//! One job as `#[job]` declares it: its name, its defaults, its function.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::job::{CurrentJob, JobEnd};
use crate::registry::JobRegistry;
use crate::spawn::JobBuilder;

/// A running job function.
#[doc(hidden)]
pub type JobFuture = Pin<Box<dyn Future<Output = JobEnd> + Send + 'static>>;

/// Sets a job's defaults on its builder.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct BuildFn(pub for<'a> fn(&'a mut JobBuilder<'static>) -> &'a mut JobBuilder<'static>);

/// Makes the arguments of a job's function, calls it, and says how it ended.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct RunFn(pub fn(Arc<JobRegistry>, CurrentJob) -> JobFuture);

/// The context that an argument of a job's function asks for: returns the first type that the registry lacks.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct ContextNeed(pub fn(&JobRegistry) -> Option<&'static str>);

/// What the runner does about each attempt at a job, besides running its function. It is the program's and not the queue's:
/// a change applies to the jobs already spawned.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// How long the function may take.
    pub timeout: Option<Duration>,
    /// The length of the job's own lease, which its runner does not renew.
    pub lease: Option<Duration>,
    /// Whether the backoff grows by its first step, and not by doubling.
    pub has_linear_backoff: bool,
}

/// A job: the name it is queued under, its defaults, and the function that runs it.
///
/// `#[job]` turns a function into a static of this type.
pub struct NamedJob {
    name: &'static str,
    build: BuildFn,
    run: RunFn,
    needs: &'static [ContextNeed],
    policy: Policy,
    /// What jobs whose payload is of version 2, 3 and so on are stored under.
    versions: &'static [&'static str],
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
            policy: Policy {
                timeout: None,
                lease: None,
                has_linear_backoff: false,
            },
            versions: &[],
        }
    }

    /// Returns the job with a policy; called by the code that `#[job]` generates.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Returns the job with further versions of its payload; called by the code that `#[job]` generates.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_versions(self, versions: &'static [&'static str]) -> Self {
        Self { versions, ..self }
    }

    /// Returns the job itself: what a [`Job`](crate::Job) has as well.
    #[doc(hidden)]
    pub const fn named(&'static self) -> &'static Self {
        self
    }

    /// Returns a builder with the name and the defaults of this job, and a new id.
    pub fn builder(&self) -> JobBuilder<'static> {
        self.with_defaults(JobBuilder::new(self.newest_name()))
    }

    /// Returns a builder with the name and the defaults of this job, and the given id.
    pub fn builder_with_id(&self, id: Uuid) -> JobBuilder<'static> {
        self.with_defaults(JobBuilder::new_with_id(id, self.newest_name()))
    }

    /// Returns the name of the job, under which it is queued.
    ///
    /// If its payload has a version beyond 1, `@v2` and so on follow in the database, and so wherever a name is read from there:
    /// [`CurrentJob::name`], the error handler's, `DeadJob::name`. [`JobRegistry::resolve_job`] finds the job by each of them.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the function that runs the job.
    pub(crate) fn run_fn(&self) -> RunFn {
        self.run
    }

    /// Returns every name that jobs for this function are stored under: one for each version of the payload.
    pub(crate) fn stored_names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.versions.iter().copied())
    }

    /// Returns what the runner does about each attempt.
    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    fn newest_name(&self) -> &'static str {
        self.versions.last().copied().unwrap_or(self.name)
    }

    /// Returns the context the job's function asks for.
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
