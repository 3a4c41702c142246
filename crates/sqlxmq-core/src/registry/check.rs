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
        for job in &self.jobs {
            if !names.insert(job.name()) {
                return Err(RegistryError::DuplicateJob { name: job.name() });
            }
        }
        for job in &self.jobs {
            if let Some(need) = job.needs().iter().find(|need| !(need.is_provided)(self)) {
                return Err(RegistryError::MissingContext {
                    job: job.name(),
                    type_name: (need.type_name)(),
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
