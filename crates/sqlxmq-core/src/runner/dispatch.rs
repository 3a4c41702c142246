//! The dispatcher: runs one claimed job to its end, on the runner's task tracker.
//!
//! Whatever users' code does (an error, a panic, a panic with something odd, a job that is dropped or moved away), it comes
//! out here as one outcome, and the runner goes on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::attempt::Attempt;
use super::complete::What;
use super::error::{JobPanicked, bounded, describe};
use super::shared::{Report, Shared, Slot, Work};
use crate::error::UnknownJobError;
use crate::job::CurrentJob;
use crate::registry::ErrorHandler;
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
        Work::Registry { registry, functions } => {
            let Some(function) = functions.get(&*payload.name).copied() else {
                if attempt.released() {
                    shared.order(
                        &attempt,
                        Some(&slot),
                        What::Release {
                            delay: PAUSE_OF_UNKNOWN,
                        },
                    );
                }
                shared.report(&payload.name, Box::new(UnknownJobError));
                return;
            };
            let registry = Arc::clone(registry);
            let shared_by_task = Arc::clone(shared);
            shared.jobs.spawn(
                async move {
                    let job =
                        CurrentJob::new(Arc::clone(&shared_by_task), Arc::clone(&attempt), &slot, payload);
                    tracing::debug!("job started");
                    // The call is inside, so that a panic before the first await is caught as well.
                    let run = AssertUnwindSafe(async { (function.0)(&registry, job).await });
                    let end = match run.catch_unwind().await {
                        Ok(Ok(())) => End::Returned,
                        Ok(Err(error)) => End::Failed(error),
                        Err(panic) => End::Panicked(panic_message(panic)),
                    };
                    ended(&shared_by_task, &attempt, &slot, end);
                }
                .instrument(span),
            );
        }
    }
}

/// How a job's function ended.
enum End {
    Returned,
    Failed(crate::error::BoxError),
    Panicked(String),
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
        End::Failed(error) => match catch_unwind(AssertUnwindSafe(|| describe(&*error))) {
            Ok(text) => fail(shared, attempt, slot, text, error),
            Err(panic) => ended(shared, attempt, slot, End::Panicked(panic_message(panic))),
        },
        End::Panicked(message) => {
            let error = JobPanicked { message };
            fail(shared, attempt, slot, bounded(error.to_string()), Box::new(error));
        }
    }
}

/// Fails the attempt at once, also if the `CurrentJob` lives on elsewhere: it gets `LeaseLost` from now on.
fn fail(
    shared: &Arc<Shared>,
    attempt: &Arc<Attempt>,
    slot: &Arc<Slot>,
    text: String,
    error: Box<dyn std::error::Error + Send + 'static>,
) {
    tracing::debug!(error = %text, "job failed");
    if attempt.function_failed() {
        attempt.cancelled.cancel();
        shared.order(attempt, Some(slot), What::Fail { error: text });
    }
    shared.report(attempt.name(), error);
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
