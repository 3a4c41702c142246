//! The jobs that are linked into the program, collected at link time.

use super::job_registry::JobRegistry;
use super::named_job::NamedJob;

/// A job that `#[job]` has put into the program.
#[doc(hidden)]
pub struct RegisteredJob {
    job: &'static NamedJob,
    /// Whether the job stands inside of another function and has no name of its own: it is left out then. Its
    /// default name does not contain the surrounding function, so that two tests' jobs may have the same, and
    /// every runner would need the context of all of them.
    is_nested: fn() -> bool,
}

impl RegisteredJob {
    /// Returns an entry; called by the code that `#[job]` generates.
    pub const fn new(job: &'static NamedJob, is_nested: fn() -> bool) -> Self {
        Self { job, is_nested }
    }
}

inventory::collect!(RegisteredJob);

/// Returns a registry of every `#[job]` that is linked into the program, sorted by name.
///
/// A crate that is never named in code is not linked, and its jobs are missing here: name it with
/// `use my_jobs as _;`. A job defined inside of another function is here only if its attribute names it. Jobs can be chosen with [`JobRegistry::only`] and [`JobRegistry::without`].
pub fn registry() -> JobRegistry {
    let mut jobs: Vec<&'static NamedJob> = inventory::iter::<RegisteredJob>
        .into_iter()
        .filter(|registered| !(registered.is_nested)())
        .map(|registered| registered.job)
        .collect();
    jobs.sort_by_key(|job| job.name());
    JobRegistry::new(&jobs)
}
