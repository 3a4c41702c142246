//! The dispatcher: runs one claimed job to its end, on the runner's task tracker.
//!
//! Whatever users' code does (an error, a panic, a panic with something odd, a job that is dropped or moved away), it comes
//! out here as one outcome, and the runner goes on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::attempt::Attempt;
use super::complete::{AsTold, What};
use super::error::{CompleteError, JobPanicked, JobRetries, JobTimedOut, JobUndelivered, bounded, describe};
use super::shared::{Report, Shared, Work};
use super::slots::Slot;
use crate::config::MAX_DURATION;
use crate::error::UnknownJobError;
use crate::job::{CurrentJob, JobEnd, Next, Outcome, Verdict};
use crate::registry::{ErrorHandler, JobRegistry, NamedJob, Policy};
use crate::store::runner::Payload;

/// A job whose name is unknown here although its key is known goes to others for this long.
const PAUSE_OF_UNKNOWN: Duration = Duration::from_secs(10);

/// Starts a job.
pub(crate) fn start(shared: &Arc<Shared>, attempt: Arc<Attempt>, slot: Arc<Slot>, payload: Payload) {
    attempt.set_name(&payload.name);
    // Lost while its payload was on its way.
    if attempt.check().is_err() {
        return;
    }
    let span = tracing::info_span!(
        parent: None,
        "job",
        job.id = %attempt.id,
        job.name = %payload.name,
        job.channel = %payload.channel_name,
        job.attempt = attempt.number,
    );
    match &shared.work {
        Work::Closure(closure) => {
            let closure = Arc::clone(closure);
            let shared_by_task = Arc::clone(shared);
            shared.jobs.spawn(
                async move {
                    let job =
                        CurrentJob::new(Arc::clone(&shared_by_task), Arc::clone(&attempt), &slot, payload);
                    tracing::debug!("job started");
                    let end = match catch_unwind(AssertUnwindSafe(|| closure(job))) {
                        Ok(()) => End::Returned,
                        Err(panic) => End::Panicked(panic_message(panic)),
                    };
                    ended(&shared_by_task, &attempt, &slot, end);
                }
                .instrument(span),
            );
        }
        Work::Registry { registry, jobs } => {
            let Some(named) = jobs.get(&*payload.name).copied() else {
                release(shared, &attempt, &slot, PAUSE_OF_UNKNOWN);
                shared.report(&payload.name, Box::new(UnknownJobError));
                return;
            };
            let registry = Arc::clone(registry);
            let shared_by_task = Arc::clone(shared);
            shared.jobs.spawn(
                async move {
                    let shared = shared_by_task;
                    let job = CurrentJob::new(Arc::clone(&shared), Arc::clone(&attempt), &slot, payload);
                    tracing::debug!("job started");
                    let end = run(named, registry, job).await;
                    let end = judge(end, named.policy()).await;
                    ended(&shared, &attempt, &slot, end);
                }
                .instrument(span),
            );
        }
    }
}

/// Runs the job under its lease, in its layers. [`Next::run`] catches its panics.
async fn run(named: &'static NamedJob, registry: Arc<JobRegistry>, mut job: CurrentJob) -> JobEnd {
    if let Some(lease) = named.policy().lease
        && let Err(error) = job.keep_alive(lease).await
    {
        return JobEnd::of_owner(Err(error.into()));
    }
    Next::first(registry, named).run(job).await
}

/// Runs the function, with its arguments, within its timeout.
pub(crate) async fn run_function(
    named: &'static NamedJob,
    registry: Arc<JobRegistry>,
    job: CurrentJob,
) -> JobEnd {
    let running = (named.run_fn().0)(registry, job);
    match named.policy().timeout {
        None => running.await,
        // Dropped at its deadline, and the job with it, unless it was moved away.
        Some(after) => match tokio::time::timeout(after, running).await {
            Ok(end) => end,
            Err(_) => JobEnd::of_owner(Err(JobTimedOut { after }.into())),
        },
    }
}

/// How a job's function ended.
enum End {
    Returned,
    Failed {
        error: crate::error::BoxError,
        as_told: Option<AsTold>,
    },
    Released {
        delay: Duration,
        error: Option<crate::error::BoxError>,
    },
    Panicked(String),
}

/// Decides what becomes of the attempt. A job that its runner keeps is completed here, and dropped here otherwise.
async fn judge(end: JobEnd, policy: Policy) -> End {
    let JobEnd { job, verdict } = end;
    let usual = policy.has_linear_backoff.then_some(AsTold::Linear);
    match verdict {
        Verdict::Returned(Outcome::Done) => match job {
            Some(job) => complete(job, usual).await,
            None => End::Returned,
        },
        Verdict::Returned(Outcome::Retry { after }) => End::Failed {
            error: JobRetries { after }.into(),
            as_told: Some(AsTold::After(after.min(MAX_DURATION))),
        },
        Verdict::Returned(Outcome::Snooze(delay)) => End::Released {
            delay: delay.min(MAX_DURATION),
            error: None,
        },
        Verdict::Returned(Outcome::Dead(reason)) => End::Failed {
            error: reason.into(),
            as_told: Some(AsTold::Dead),
        },
        Verdict::Failed {
            error,
            is_permanent,
            retry_after,
        } => End::Failed {
            error,
            as_told: match (is_permanent, retry_after) {
                (true, _) => Some(AsTold::Dead),
                (false, Some(after)) => Some(AsTold::After(after.min(MAX_DURATION))),
                (false, None) => usual,
            },
        },
        Verdict::Released(error) => End::Released {
            delay: PAUSE_OF_UNKNOWN,
            error: Some(error),
        },
    }
}

/// Completes a job that its runner has kept.
async fn complete(mut job: CurrentJob, usual: Option<AsTold>) -> End {
    if job.leave_to_completer(usual) {
        return End::Returned;
    }
    match job.complete().await {
        // Completed by the function, in a transaction perhaps: `AlreadyCompleted`.
        Ok(()) | Err(CompleteError::AlreadyCompleted { .. }) => End::Returned,
        // Told to the job and to the error handler when it happened; the database has its outcome or will find one.
        Err(CompleteError::LeaseLost { .. } | CompleteError::OutcomeUnknown { .. }) => {
            job.lose();
            End::Returned
        }
        Err(
            error @ (CompleteError::Store { .. }
            | CompleteError::Commit { .. }
            | CompleteError::InJobTx { .. }),
        ) => End::Failed {
            error: error.into(),
            as_told: usual,
        },
    }
}

fn ended(shared: &Arc<Shared>, attempt: &Arc<Attempt>, slot: &Arc<Slot>, end: End) {
    match end {
        End::Returned => {
            tracing::debug!("job returned");
            if attempt.function_returned() {
                shared.fail_dropped(attempt, Some(slot));
            }
        }
        // Showing an error is users' code as well.
        End::Failed { error, as_told } => match catch_unwind(AssertUnwindSafe(|| describe(&*error))) {
            Ok(text) => fail(shared, attempt, slot, text, as_told, error),
            Err(panic) => ended(shared, attempt, slot, End::Panicked(panic_message(panic))),
        },
        End::Released { delay, error } => {
            tracing::debug!(?delay, "job put off");
            release(shared, attempt, slot, delay);
            if let Some(error) = error {
                shared.report(attempt.name(), error);
            }
        }
        End::Panicked(message) => {
            let error = JobPanicked { message };
            let text = bounded(error.to_string());
            fail(shared, attempt, slot, text, None, Box::new(error));
        }
    }
}

/// Fails the attempt at once, also if the `CurrentJob` lives on elsewhere: it gets `LeaseLost` from now on.
fn fail(
    shared: &Arc<Shared>,
    attempt: &Arc<Attempt>,
    slot: &Arc<Slot>,
    text: String,
    as_told: Option<AsTold>,
    error: Box<dyn std::error::Error + Send + 'static>,
) {
    tracing::debug!(error = %text, "job failed");
    if attempt.function_failed() {
        attempt.cancel();
        shared.order(attempt, Some(slot), What::Fail { error: text, as_told });
    }
    shared.report(attempt.name(), error);
}

/// Fails the attempt of a job that could not be started, since nobody knows what it is to do.
pub(super) fn fail_undelivered(
    shared: &Arc<Shared>,
    attempt: &Arc<Attempt>,
    slot: &Arc<Slot>,
    error: JobUndelivered,
) {
    fail(
        shared,
        attempt,
        slot,
        bounded(error.to_string()),
        None,
        Box::new(error),
    );
}

/// Gives the attempt back, no attempt used, as if it had not been.
fn release(shared: &Arc<Shared>, attempt: &Arc<Attempt>, slot: &Arc<Slot>, delay: Duration) {
    if attempt.released() {
        attempt.cancel();
        shared.order(attempt, Some(slot), What::Release { delay });
    }
}

/// Calls the users' error handler, one report after the other, until there will be no more.
pub(crate) async fn report_errors(
    handler: Arc<ErrorHandler>,
    reports: &mut mpsc::UnboundedReceiver<Report>,
    no_more: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            // Cancel safe: a report that was not received stays in the queue.
            Some(report) = reports.recv() => call_handler(&handler, report),
            // A token loses nothing. Polled last, so the queue is empty.
            () = no_more.cancelled() => return,
        }
    }
}

fn call_handler(handler: &Arc<ErrorHandler>, report: Report) {
    let name = report.name.clone();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handler(&report.name, report.error))) {
        tracing::error!(
            job.name = name,
            panic = panic_message(panic),
            "the error handler panicked"
        );
    }
}

/// The text of a panic.
pub(crate) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let message = match (
        panic.downcast_ref::<&'static str>(),
        panic.downcast_ref::<String>(),
    ) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "something that is not a text".to_owned(),
    };
    // Users can panic with a value whose Drop panics.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_any_type_has_a_message() {
        let panic = |f: fn()| panic_message(catch_unwind(f).unwrap_err());
        assert_eq!(panic(|| panic!("plain")), "plain");
        assert_eq!(panic(|| panic!("with {}", 7)), "with 7");
        assert_eq!(panic(|| std::panic::panic_any(7)), "something that is not a text");
    }

    #[test]
    fn a_panic_that_panics_when_dropped_is_survived() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                if !std::thread::panicking() {
                    panic!("boom");
                }
            }
        }
        let panic = catch_unwind(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(panic_message(panic), "something that is not a text");
    }
}
