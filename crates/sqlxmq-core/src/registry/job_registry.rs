//! The set of jobs a runner can run, with the context they are given and the handler of their errors.

use std::any::{TypeId, type_name};
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use sqlx::PgPool;

use super::context::ContextMap;
use super::named_job::NamedJob;
use crate::job::{CurrentJob, Layer, LayerResult, Next};
use crate::runner::JobRunnerOptions;

/// Called with a job's name and its error.
pub type ErrorHandler = dyn Fn(&str, Box<dyn Error + Send + 'static>) + Send + Sync;

/// The jobs that a runner can run: from name to function, with the context the functions are given.
pub struct JobRegistry {
    pub(super) jobs: Vec<&'static NamedJob>,
    pub(super) context: ContextMap,
    /// The types of context that layers are to provide.
    promised: HashSet<TypeId>,
    /// From the outermost to the innermost.
    layers: Vec<Arc<Layer>>,
    error_handler: Arc<ErrorHandler>,
}

impl JobRegistry {
    /// Returns a registry of the given jobs.
    ///
    /// Two jobs of one name are refused when the runner starts.
    pub fn new(jobs: &[&'static NamedJob]) -> Self {
        Self {
            jobs: jobs.to_vec(),
            context: ContextMap::default(),
            promised: HashSet::new(),
            layers: Vec::new(),
            error_handler: Arc::new(Self::default_error_handler),
        }
    }

    /// Runs exactly the given jobs instead, also those that are not linked by name.
    ///
    /// Only their context has to be provided. Jobs of other names are left to other runners.
    #[must_use]
    pub fn only(mut self, jobs: &[&'static NamedJob]) -> Self {
        self.jobs = jobs.to_vec();
        self
    }

    /// Leaves out the jobs of the given jobs' names.
    ///
    /// Their context does not have to be provided. They are left to other runners.
    #[must_use]
    pub fn without(mut self, jobs: &[&'static NamedJob]) -> Self {
        // By name and not by address: the compiler may merge statics of equal content.
        self.jobs
            .retain(|job| jobs.iter().all(|unwanted| unwanted.name() != job.name()));
        self
    }

    /// Sets the function that is called whenever a job fails, with the job's name and its error.
    ///
    /// Default: [`JobRegistry::default_error_handler`].
    pub fn set_error_handler(
        &mut self,
        error_handler: impl Fn(&str, Box<dyn Error + Send + 'static>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.error_handler = Arc::new(error_handler);
        self
    }

    /// Provides a value to the jobs whose functions have an argument of its type.
    ///
    /// A second value of the same type takes the place of the first.
    pub fn set_context<C: Clone + Send + Sync + 'static>(&mut self, context: C) -> &mut Self {
        self.context.insert(context);
        self
    }

    /// Says that layers provide a value of type `C` to every job, by [`CurrentJob::set_context`]: the runner starts without it.
    ///
    /// An attempt for which no layer has done so panics, and so fails.
    pub fn promise_context<C: Clone + Send + Sync + 'static>(&mut self) -> &mut Self {
        self.promised.insert(TypeId::of::<C>());
        self
    }

    /// Puts a layer around every job: an async function that is called in place of the job's, with the job and the rest of
    /// the attempt.
    ///
    /// A layer sees the job, may [provide](CurrentJob::set_context) context to what is inside, runs that with [`Next::run`], and sees how it
    /// [ended](crate::JobEnd), panics and timeouts included. It may change the end, or return one of its own without having run
    /// what is inside: [`JobEnd::new`](crate::JobEnd::new), or an error. An error or a panic of a layer is a failed attempt like any other.
    ///
    /// **The layer that is added first is the outermost**: it is called first, and sees the end last. Inside of the last one are the
    /// job's timeout, its arguments, and its function. Outside of the first one the outcome is stored: a job that its runner keeps is completed
    /// then. Layers are not called for jobs whose attempt is over before it started.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use sqlxmq_core::{BoxError, CurrentJob, JobEnd, JobRegistry, Next, permanent};
    ///
    /// async fn timed(job: CurrentJob, next: Next) -> JobEnd {
    ///     let (name, started) = (job.name().to_owned(), Instant::now());
    ///     let end = next.run(job).await;
    ///     println!("{name} took {:?}, done: {}", started.elapsed(), end.is_done());
    ///     end
    /// }
    ///
    /// #[derive(Clone)]
    /// struct Tenant(u64);
    ///
    /// async fn of_a_tenant(mut job: CurrentJob, next: Next) -> Result<JobEnd, BoxError> {
    ///     let tenant = Tenant(job.channel_args().parse().map_err(permanent)?);
    ///     job.set_context(tenant);
    ///     Ok(next.run(job).await)
    /// }
    ///
    /// # let mut registry = JobRegistry::new(&[]);
    /// registry.add_layer(timed).add_layer(of_a_tenant).promise_context::<Tenant>();
    /// ```
    ///
    /// A layer with a state of its own is a closure:
    ///
    /// ```
    /// # use sqlxmq_core::{CurrentJob, JobRegistry, Next};
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// # let mut registry = JobRegistry::new(&[]);
    /// let failures = Arc::new(AtomicU64::new(0));
    /// registry.add_layer(move |job: CurrentJob, next: Next| {
    ///     let failures = Arc::clone(&failures);
    ///     async move {
    ///         let end = next.run(job).await;
    ///         if end.error().is_some() {
    ///             failures.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///         end
    ///     }
    /// });
    /// ```
    pub fn add_layer<L, F, R>(&mut self, layer: L) -> &mut Self
    where
        L: Fn(CurrentJob, Next) -> F + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
        R: LayerResult,
    {
        self.layers.push(Arc::new(move |job, next| {
            let running = layer(job, next);
            Box::pin(async move { running.await.into_end() })
        }));
        self
    }

    /// Returns the layer at that place, counted from the outermost.
    pub(crate) fn layer(&self, place: usize) -> Option<&Arc<Layer>> {
        self.layers.get(place)
    }

    /// Returns a clone of the provided value of type `C`.
    ///
    /// # Panics
    ///
    /// Panics if no value of the type was provided. A runner does not start without the context its jobs need.
    pub fn context<C: Clone + Send + Sync + 'static>(&self) -> C {
        self.given_context()
    }

    /// [`context`](Self::context) for generated code, which checks the type elsewhere.
    #[doc(hidden)]
    pub fn given_context<C: 'static>(&self) -> C {
        match self.context.get::<C>() {
            Some(value) => value,
            None if self.promised.contains(&TypeId::of::<C>()) => panic!(
                "no layer has provided the context of type `{}` that `promise_context` has promised",
                type_name::<C>()
            ),
            None => panic!("no context of type `{}` has been provided", type_name::<C>()),
        }
    }

    /// Returns whether a value of type `C` was provided, or is promised.
    #[doc(hidden)]
    pub fn has_context<C: 'static>(&self) -> bool {
        self.context.has::<C>() || self.promised.contains(&TypeId::of::<C>())
    }

    /// Returns the job of the given name. The name may be that of any version of its payload.
    pub fn resolve_job(&self, name: &str) -> Option<&'static NamedJob> {
        self.jobs
            .iter()
            .copied()
            .find(|job| job.stored_names().any(|stored| stored == name))
    }

    /// Logs the error as a `tracing` event of level `ERROR`, with its chain of sources.
    pub fn default_error_handler(name: &str, error: Box<dyn Error + Send + 'static>) {
        tracing::error!(
            job.name = name,
            error = &*error as &(dyn Error + 'static),
            "job failed"
        );
    }

    /// Returns a runner's options for these jobs.
    ///
    /// The runner makes connections of its own from the pool's connect options; the pool itself is for the jobs.
    pub fn runner(self, pool: &PgPool) -> JobRunnerOptions {
        JobRunnerOptions::from_registry(pool, Arc::new(self))
    }

    /// Returns the options of a runner without giving the registry away.
    #[cfg(feature = "testing")]
    pub(crate) fn runner_of_a_copy(&self, pool: &PgPool) -> JobRunnerOptions {
        let copy = Self {
            jobs: self.jobs.clone(),
            context: self.context.clone(),
            promised: self.promised.clone(),
            layers: self.layers.clone(),
            error_handler: Arc::clone(&self.error_handler),
        };
        copy.runner(pool)
    }

    /// Returns the names of the jobs, in the order they were given.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.jobs.iter().map(|job| job.name()).collect()
    }

    /// Returns each name that jobs are stored under, with its job.
    pub(crate) fn stored_names(&self) -> impl Iterator<Item = (&'static str, &'static NamedJob)> {
        let jobs = self.jobs.iter().copied();
        jobs.flat_map(|job| job.stored_names().map(move |name| (name, job)))
    }

    /// Returns the handler of jobs' errors.
    pub(crate) fn error_handler(&self) -> Arc<ErrorHandler> {
        Arc::clone(&self.error_handler)
    }
}

impl fmt::Debug for JobRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRegistry")
            .field("jobs", &self.names())
            .finish_non_exhaustive()
    }
}
