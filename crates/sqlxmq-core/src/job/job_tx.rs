//! A transaction per job, committed with the job's completion.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{PgConnection, Postgres, Transaction};

use super::transaction::undo;
use super::{JobEnd, JobInput, LendToJob};
use crate::error::BoxError;
use crate::runner::attempt::Attempt;

/// A transaction of a job's own, as an argument of its function: `tx: &mut JobTx`. The effects made in it happen exactly once.
///
/// It is begun on the pool that the runner was made with. When the
/// function returns Ok, it is committed, and the job completed in it, as by [`CurrentJob::complete_with_transaction`]: both happen or
/// neither does. It is rolled back when the function returns an error, an [`Outcome`](crate::Outcome) other than `Done`, panics or runs into
/// its timeout, when the attempt has lost its lease, and when the commit fails. An attempt that was to end in a commit that failed has failed.
///
/// The job can be borrowed beside it, but not owned or completed: see [`CompleteError::InJobTx`]. A connection and a transaction are
/// held as long as the function runs, so it should not be long, and the pool needs a connection for each job that runs at a time.
///
/// # What to write
///
/// It derefs to its connection, and `tx` is a reference to it. So for sqlx it is `&mut **tx`, as for a `&mut Transaction`:
///
/// | for | write |
/// |---|---|
/// | a query | `sqlx::query(..).execute(&mut **tx)`, `.fetch_one(&mut **tx)`, `sqlx::query!(..).fetch_all(&mut **tx)` |
/// | another job | `next.builder().spawn(&mut **tx)`, `spawn_all(&mut **tx, &jobs)` |
/// | a function that takes a `&mut PgConnection` | `pay(tx).await?`, as often as you like |
/// | a savepoint | `tx.begin().await?`, with `sqlx::Connection` in scope; then `&mut *savepoint` |
///
/// `&mut *tx` is a `&mut JobTx` still, which the compiler says is no `Executor`. (It can't be one: which methods that trait has depends on
/// the features with which a program builds sqlx.) Functions of your own that take a `&mut PgConnection`, and not a `Transaction`, can be used by jobs and by
/// everybody else.
///
/// # Examples
///
/// ```
/// use sqlx::{Connection, PgConnection};
/// use sqlxmq_core::{BoxError, JobBuilder, JobTx};
///
/// // #[job]
/// async fn pay_out(tx: &mut JobTx) -> Result<(), BoxError> {
///     sqlx::query("update accounts set balance = 0 where id = 7").execute(&mut **tx).await?;
///     note(tx, "paid out").await?;
///     let mut savepoint = tx.begin().await?;
///     note(&mut savepoint, "perhaps").await?;
///     savepoint.rollback().await?;
///     JobBuilder::new("receipt").spawn(&mut **tx).await?;
///     Ok(())
/// }
///
/// async fn note(connection: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
///     sqlx::query("insert into notes (text) values ($1)").bind(text).execute(connection).await?;
///     Ok(())
/// }
/// ```
///
/// [`CurrentJob::complete_with_transaction`]: crate::CurrentJob::complete_with_transaction
/// [`CompleteError::InJobTx`]: crate::CompleteError::InJobTx
pub struct JobTx {
    transaction: Transaction<'static, Postgres>,
    bound: Bound,
}

impl LendToJob for JobTx {
    type Error = BoxError;

    async fn begin(input: &JobInput<'_>) -> Result<Self, BoxError> {
        let bound =
            Bound::new(&input.job().attempt).ok_or("a job has one `JobTx`: two of its arguments are one")?;
        let transaction = input.job().pool().begin().await?;
        Ok(Self { transaction, bound })
    }

    async fn finish(self, end: &mut JobEnd) -> Result<(), BoxError> {
        let Self { transaction, bound } = self;
        drop(bound);
        match end.job_to_complete() {
            Some(job) => job.complete_with_transaction(transaction).await?,
            None => undo(transaction).await,
        }
        Ok(())
    }
}

impl Deref for JobTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for JobTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl fmt::Debug for JobTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobTx").finish_non_exhaustive()
    }
}

/// While it lives, the attempt is completed by its transaction and by nothing else.
struct Bound(Arc<Attempt>);

impl Bound {
    fn new(attempt: &Arc<Attempt>) -> Option<Self> {
        attempt.bind().then(|| Self(Arc::clone(attempt)))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.0.unbind();
    }
}
