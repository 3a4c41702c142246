//! Arguments that the runner lends to a job's function and finishes after it.

use std::future::Future;

use super::{ContextNeeds, JobEnd, JobInput};
use crate::error::BoxError;

/// An argument that is lent to a job's function, as `&mut T`, and finished when the function has returned: a transaction
/// ([`JobTx`](crate::JobTx) is one), a lock, a file that is moved to its place.
///
/// Lent arguments are made after all others, in their order, and finished the other way round. If the function is not called, panics
/// or is dropped at its timeout, they are dropped and not finished.
///
/// # Examples
///
/// ```
/// use sqlxmq_core::{BoxError, JobEnd, JobInput, LendToJob};
///
/// /// Collects what the job did, to be told at its end.
/// struct Log(Vec<String>);
///
/// impl LendToJob for Log {
///     type Error = BoxError;
///
///     async fn begin(input: &JobInput<'_>) -> Result<Self, BoxError> {
///         Ok(Self(vec![format!("attempt {}", input.job().attempt())]))
///     }
///
///     async fn finish(self, end: &mut JobEnd) -> Result<(), BoxError> {
///         println!("{} after {:?}", end.is_done(), self.0);
///         Ok(())
///     }
/// }
/// // #[job] async fn import(log: &mut Log) { log.0.push("imported".into()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`&mut {Self}` cannot be an argument of a job",
    label = "not `LendToJob`",
    note = "context is shared by jobs that run at the same time: take it by value, or behind `Arc<Mutex<_>>`; what is `FromJob` is taken by value, too",
    note = "lent are `&mut CurrentJob`, `&mut JobTx`, and types that implement `sqlxmq::LendToJob`"
)]
pub trait LendToJob: Sized + Send + 'static {
    /// Why there is no value, or why it could not be finished.
    type Error: Into<BoxError>;

    /// Returns the value for one attempt. An error fails the attempt, and the function is not called.
    fn begin(input: &JobInput<'_>) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Is called when the function has returned, however it ended. An error fails an attempt that was
    /// [done](JobEnd::is_done).
    fn finish(self, end: &mut JobEnd) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Names the context that [`begin`](Self::begin) asks for, so that a runner that lacks it says so when it starts.
    /// Default: none.
    fn needs(_needs: &mut ContextNeeds<'_>) {}
}
