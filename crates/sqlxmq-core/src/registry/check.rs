//! What must hold before a runner starts.

use std::collections::HashSet;

use super::job_registry::JobRegistry;
use crate::error::RegistryError;

impl JobRegistry {
    /// Checks that there are jobs, that no two have one name, and that their context is provided.
    ///
    /// # Errors
    ///
    /// Returns the first thing that is wrong.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        if self.jobs.is_empty() {
            return Err(RegistryError::Empty);
        }
        let mut names = HashSet::new();
        for (name, _) in self.stored_names() {
            if !names.insert(name) {
                return Err(RegistryError::DuplicateJob { name });
            }
        }
        for job in &self.jobs {
            if let Some(type_name) = job.needs().iter().find_map(|need| (need.0)(self)) {
                return Err(RegistryError::MissingContext {
                    job: job.name(),
                    type_name,
                });
            }
        }
        Ok(())
    }

    /// Logs the names of the jobs, so that a job whose crate was not linked is missed at start and not in the queue.
    pub(crate) fn log_jobs(&self) {
        tracing::info!(jobs = ?self.names(), "runner knows {} jobs", self.names().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{BuildFn, ContextNeed, JobFuture, NamedJob, RunFn};

    fn build<'a>(builder: &'a mut crate::JobBuilder<'static>) -> &'a mut crate::JobBuilder<'static> {
        builder.set_channel_name("letters")
    }

    fn run(_: std::sync::Arc<JobRegistry>, _: crate::CurrentJob) -> JobFuture {
        Box::pin(async { crate::JobEnd::of_owner(Ok(())) })
    }

    const fn job(name: &'static str, needs: &'static [ContextNeed]) -> NamedJob {
        NamedJob::new_internal(name, BuildFn(build), RunFn(run), needs)
    }

    static MAIL: &NamedJob = &job("mail", &[]);
    static OTHER_MAIL: &NamedJob = &job("mail", &[]);
    static FAX: &NamedJob = &job(
        "fax",
        &[ContextNeed(|registry| {
            (!registry.has_context::<u8>()).then(std::any::type_name::<u8>)
        })],
    );

    #[test]
    fn a_registry_without_jobs_is_refused() {
        assert_eq!(JobRegistry::new(&[]).check(), Err(RegistryError::Empty));
        assert_eq!(
            JobRegistry::new(&[MAIL]).without(&[MAIL]).check(),
            Err(RegistryError::Empty)
        );
    }

    #[test]
    fn two_jobs_of_one_name_are_refused() {
        let registry = JobRegistry::new(&[MAIL, OTHER_MAIL]);
        assert_eq!(
            registry.check(),
            Err(RegistryError::DuplicateJob { name: "mail" })
        );
        assert_eq!(registry.only(&[OTHER_MAIL]).check(), Ok(()));
    }

    #[test]
    fn missing_context_is_refused_for_the_jobs_that_are_run() {
        let registry = JobRegistry::new(&[MAIL, FAX]);
        assert_eq!(
            registry.check(),
            Err(RegistryError::MissingContext {
                job: "fax",
                type_name: "u8"
            })
        );
        assert_eq!(registry.only(&[MAIL]).check(), Ok(()));
        assert_eq!(JobRegistry::new(&[MAIL, FAX]).without(&[FAX]).check(), Ok(()));

        let mut registry = JobRegistry::new(&[FAX]);
        registry.set_context(1_u8).set_context(2_u8).set_context("text");
        assert_eq!(registry.check(), Ok(()));
        assert_eq!(registry.context::<u8>(), 2);
    }

    #[test]
    fn jobs_are_found_and_left_out_by_name() {
        let registry = JobRegistry::new(&[MAIL, FAX]).without(&[OTHER_MAIL]);
        assert_eq!(registry.names(), ["fax"]);
        assert_eq!(registry.resolve_job("fax").map(NamedJob::name), Some("fax"));
        assert!(registry.resolve_job("mail").is_none());
    }

    #[test]
    #[should_panic(expected = "no context of type `i64` has been provided")]
    fn context_that_was_not_provided_panics_with_its_type() {
        JobRegistry::new(&[MAIL]).context::<i64>();
    }

    #[test]
    fn a_job_gives_builders_with_its_defaults() {
        let id = uuid::Uuid::from_u128(7);
        let builder = MAIL.builder_with_id(id);
        assert_eq!((builder.as_ref().id(), builder.as_ref().name()), (id, "mail"));
        assert_eq!(MAIL.builder().as_ref().channel_name(), "letters");
        assert_eq!(format!("{MAIL:?}"), "NamedJob { name: \"mail\", .. }");
    }
}
