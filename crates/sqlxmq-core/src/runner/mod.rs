//! Claims jobs and runs them.

use std::sync::Arc;

use sqlx::PgPool;

use crate::error::RegistryError;
use crate::job::CurrentJob;
use crate::registry::JobRegistry;

/// What a runner claims, and how many jobs it runs at a time.
#[derive(Debug, Clone)]
pub struct JobRunnerOptions {
    registry: Arc<JobRegistry>,
}

impl JobRunnerOptions {
    /// Returns the options of a runner for the jobs of `registry`.
    pub(crate) fn from_registry(_pool: &PgPool, registry: Arc<JobRegistry>) -> Self {
        Self { registry }
    }

    /// Starts the runner.
    ///
    /// # Errors
    ///
    /// Returns an error if the registry cannot be run.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn run(&self) -> Result<(), RegistryError> {
        self.registry.check()?;
        self.registry.log_jobs();
        let handler = self.registry.error_handler();
        for name in self.registry.names() {
            if let Some(job) = self.registry.resolve_job(name)
                && let Err(error) = (job.run_fn().0)(&self.registry, CurrentJob {}).await
            {
                handler(name, error);
            }
        }
        Ok(())
    }
}
