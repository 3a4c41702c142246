//! What users call.

use std::fmt;
use std::sync::Arc;

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::flusher::{Flusher, Shared};
use super::kept::{KeptJob, Waiting};
use crate::error::SpawnError;
use crate::spawn::new_job::NewJob;
use crate::spawn::row::Row;

/// Spawns single jobs for many tasks at once, which share statements and commits: for the handlers of a web service, say.
///
/// **Each job is committed by itself, not in a transaction of the caller's.** A job that belongs to what the caller writes is spawned
/// in that transaction: [`JobBuilder::spawn(&mut *tx)`](crate::JobBuilder::spawn). This is for jobs that belong to nothing else, which
/// would be spawned with the pool.
///
/// A spawn with the pool costs a statement and a commit. Here the first is sent at once; jobs that come while it is on its way gather,
/// and are sent together when it is done, in the order in which they came. There is no delay and nothing to tune: one task alone
/// waits for nobody, many cost the database a fraction each.
///
/// One per program is enough; a clone is the same spawner. It takes a connection of the pool for each flush, one at a
/// time. While nothing is spawned it holds no connection, and no task runs.
///
/// # Examples
///
/// ```no_run
/// use sqlxmq_core::{Job, Json, SpawnError, Spawner};
///
/// /// What all handlers have.
/// #[derive(Clone)]
/// struct App {
///     spawner: Spawner,
/// }
///
/// async fn handler(app: App, resize: &'static Job<Json<i64>>, image: i64) -> Result<(), SpawnError> {
///     let job = app.spawner.spawn(&resize.builder(&image)).await?;
///     println!("job {job} is stored");
///     Ok(())
/// }
/// # async fn example(pool: &sqlx::PgPool, resize: &'static Job<Json<i64>>) -> Result<(), SpawnError> {
/// let app = App { spawner: Spawner::new(pool) };
/// # handler(app, resize, 1).await
/// # }
/// ```
#[derive(Clone)]
pub struct Spawner(Arc<Shared>);

impl Spawner {
    /// Returns a spawner that uses the connections of `pool`. Nothing is sent.
    pub fn new(pool: &PgPool) -> Self {
        Self(Arc::new(Shared::new(pool.clone())))
    }

    /// Stores a job and returns its id when it is committed.
    ///
    /// It takes whatever [`spawn_all`](crate::spawn_all) takes an item of. Of the spawns that a task awaits one after the other the order
    /// is kept, since each is committed before the next begins; those that overlap have none between them.
    ///
    /// # Errors
    ///
    /// As for [`JobBuilder::spawn`](crate::JobBuilder::spawn), of this job alone: if jobs that were sent together can't all be stored, the
    /// others are stored without those that can't. Where nobody's could (the pool is closed, the connection was lost, a
    /// timeout), each caller is told.
    ///
    /// Such an error may be [transient](SpawnError::is_transient), and nothing is sent again by itself: if the connection was lost, or
    /// PostgreSQL has not answered within 15 s and a second for each MiB, the job may have been stored, and may have run. Call
    /// again with the same builder, and take [`SpawnError::DuplicateId`] for success; a job that was stored and has ended by then is stored
    /// again, and runs again.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, like Tokio's own `spawn`: jobs are sent by a task of the runtime of one of those who wait. If that one
    /// is shut down meanwhile, callers in other runtimes get a transient error, and the next spawn begins anew.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the job may or may not have been stored. Nobody else's job is disturbed.
    pub async fn spawn<'j>(&self, job: impl AsRef<NewJob<'j>>) -> Result<Uuid, SpawnError> {
        let job = job.as_ref();
        let kept = KeptJob::of(Row::of(job)?);
        // Asked for before anybody waits for the task.
        let runtime = Handle::current();
        let (reply, answer) = oneshot::channel();
        let is_to_flush = self.0.gathering().add(Waiting::new(kept, reply));
        if is_to_flush {
            // Not in this future, which may be dropped while others wait.
            TaskTracker::new().spawn_on(Flusher::new(&self.0).run(), &runtime);
        }
        match answer.await {
            Ok(outcome) => outcome.map(|()| job.id),
            // The flush panicked, or its runtime is gone.
            Err(_) => Err(SpawnError::store(job.name, 1, sqlx::Error::WorkerCrashed)),
        }
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner")
            .field("pool", &self.0.pool)
            .finish_non_exhaustive()
    }
}
