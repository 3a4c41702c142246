//! The jobs that are linked into the program, collected at link time.

use super::job_registry::JobRegistry;
use super::named_job::NamedJob;

/// A job that `#[job]` has put into the program.
#[doc(hidden)]
pub struct RegisteredJob(pub &'static NamedJob);

inventory::collect!(RegisteredJob);

/// Returns a registry of every `#[job]` that is linked into the program, sorted by name.
///
/// A crate that is never named in code is not linked, and its jobs are missing here: name it with
/// `use my_jobs as _;`. Jobs can be chosen with [`JobRegistry::only`] and [`JobRegistry::without`].
pub fn registry() -> JobRegistry {
    let mut jobs: Vec<&'static NamedJob> = inventory::iter::<RegisteredJob>
        .into_iter()
        .map(|registered| registered.0)
        .collect();
    jobs.sort_by_key(|job| job.name());
    JobRegistry::new(&jobs)
}
