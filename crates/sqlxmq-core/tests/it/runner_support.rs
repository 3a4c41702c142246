//! Runners for tests: jobs whose functions a test writes itself, and what it looks at afterwards.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use devpg::eventually;
use sqlx::PgPool;
use sqlxmq_core::{
    BoxError, BuildFn, CurrentJob, JobBuilder, JobEnd, JobRegistry, JobRunnerOptions, NamedJob, RunFn,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::states;

/// What a test's job returns.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// What a test's job does.
type Function = dyn Fn(CurrentJob) -> JobFuture + Send + Sync;

#[derive(Clone)]
struct Given(Arc<Function>);

static GIVEN: NamedJob = NamedJob::new_internal(
    "given",
    BuildFn(|builder| builder),
    RunFn(|registry, job| {
        Box::pin(async move { JobEnd::of_owner((registry.context::<Given>().0)(job).await) })
    }),
    &[],
);

/// Errors as the handler saw them.
pub type Errors = mpsc::UnboundedReceiver<(String, String)>;

/// A runner of the job `given`, which does what `function` does. It beats fast, so that tests need not wait.
pub fn runner<F, R>(pool: &PgPool, function: F) -> (JobRunnerOptions, Errors)
where
    F: Fn(CurrentJob) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let (report, errors) = mpsc::unbounded_channel();
    let mut registry = JobRegistry::new(&[&GIVEN]);
    registry.set_context(Given(Arc::new(move |job| Box::pin(function(job)))));
    registry.set_error_handler(move |name, error| {
        let _ = report.send((name.to_owned(), error.to_string()));
    });
    let mut options = registry.runner(pool);
    options
        .set_concurrency(1, 4)
        .set_lease(Duration::from_secs(3))
        .set_poll_interval(Duration::from_millis(200))
        .set_grace(Duration::from_secs(5));
    (options, errors)
}

/// A builder of the job `given`.
pub fn given() -> JobBuilder<'static> {
    GIVEN.builder()
}

/// Spawns the job `given` with its defaults.
pub async fn spawn_given(pool: &PgPool) -> Uuid {
    given().spawn(pool).await.expect("a spawned job")
}

/// Waits until the job is in that state. The empty text: gone.
pub async fn until_state(pool: &PgPool, id: Uuid, state: &str) {
    eventually(&format!("job {id} to be `{state}`"), async || {
        let seen = states(pool, id).await.join(",");
        if seen == state { Ok(()) } else { Err(seen) }
    })
    .await;
}

/// The errors of a job's attempts, oldest first.
pub async fn errors_of(pool: &PgPool, id: Uuid) -> Vec<(i32, String)> {
    sqlx::query_as("select attempt, error from mq_errors where id = $1 order by place")
        .bind(id)
        .fetch_all(pool)
        .await
        .expect("the errors of a job")
}

/// Waits until the job has failed that often.
pub async fn until_errors(pool: &PgPool, id: Uuid, count: usize) -> Vec<(i32, String)> {
    eventually("failed attempts", async || {
        let seen = errors_of(pool, id).await;
        if seen.len() >= count {
            Ok(seen)
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await
}
