//! The supervisor: starts the parts of a runner, starts them again if they panic, and takes them down in order.

use std::collections::HashSet;
use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::compact::Compactor;
use super::complete::{Completer, What};
use super::dispatch::report_errors;
use super::error::{RunError, RunnerEnded};
use super::listen;
use super::maintain::Maintainer;
use super::options::JobRunnerOptions;
use super::panics::restarted;
use super::place::Place;
use super::prefetch;
use super::prepare::{Prepared, connect_error, prepare};
use super::session::{Role, STATEMENT_DEADLINE};
use super::shared::{LeaseRequest, Report, Shared};
use super::shutdown::{JobRunnerHandle, Stop};

/// How much longer than the grace the end of a runner may take, however the database is doing: for the last outcomes, the lease,
/// and the users' error handler. What is left is for the reaper.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// How much longer than the grace the poller may take to answer for its last claim: with no grace it still gets this.
const LAST_CLAIM: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: &JobRunnerOptions) -> Result<JobRunnerHandle, RunError> {
    let mut prepared = prepare(options, Place::tasks()).await?;
    if options.settings().listen {
        let listener = listen::connect(&prepared.shared).await;
        prepared.listener = Some(listener.map_err(|source| connect_error(Role::Listen, source))?);
    }
    prepared.completer.start_next();
    options.log_jobs();
    let Prepared {
        shared,
        poller,
        completer,
        reports,
        keeper,
        listener,
    } = prepared;
    let mut parts = Parts::default();
    if options.settings().listen {
        let buckets: HashSet<i32> = poller.buckets().iter().copied().collect();
        let listening = (Arc::clone(&shared), listener, buckets);
        parts.start("listen", listening, |(shared, listener, buckets)| {
            Box::pin(listen::run(shared, listener.take(), buckets))
        });
    }
    parts.start("poll", poller, |poller| Box::pin(poller.run()));
    parts.start("start", Arc::clone(&shared), |shared| {
        Box::pin(prefetch::run(shared))
    });
    let maintainer = Maintainer::new(Arc::clone(&shared));
    parts.start("maintain", maintainer, |maintainer| Box::pin(maintainer.run()));
    if options.settings().compacts() {
        let compactor = Compactor::new(Arc::clone(&shared));
        parts.start("compact", compactor, |compactor| Box::pin(compactor.run()));
    }
    Ok(supervise_in_background(shared, parts, completer, reports, keeper))
}

pub(crate) async fn run_one(options: &JobRunnerOptions) -> Result<(), RunError> {
    let Prepared {
        shared,
        mut poller,
        completer,
        reports,
        keeper,
        ..
    } = prepare(options, Place::tasks()).await?;
    let handle = supervise_in_background(Arc::clone(&shared), Parts::default(), completer, reports, keeper);
    let claimed = poller.claim_one().await;
    poller.close().await;
    shared.slots.held_below(1).await;
    handle.shutdown(options.settings().grace).await;
    let found = claimed.map_err(|source| RunError::Store {
        doing: "claim a job",
        source,
    })?;
    assert!(found.jobs == 1, "no job is ready to run");
    Ok(())
}

/// Runs what is due in the caller's task, one job after the other, and looks at each when its outcome is stored.
#[cfg(feature = "testing")]
pub(crate) async fn run_in_turn(
    options: &JobRunnerOptions,
    limit: usize,
) -> Result<Vec<crate::testing::Ran>, RunError> {
    let Prepared {
        shared,
        mut poller,
        completer,
        reports,
        keeper,
        ..
    } = prepare(options, Place::Kept(Mutex::default())).await?;
    let handle = supervise_in_background(Arc::clone(&shared), Parts::default(), completer, reports, keeper);
    let mut ran = Vec::new();
    let mut outcome = Ok(());
    while ran.len() < limit {
        outcome = match poller.claim_one().await {
            Ok(found) if found.jobs == 0 => break,
            Ok(_) => {
                shared.jobs.run_kept().await;
                // A job that was moved into another task may go on.
                shared.slots.held_below(1).await;
                match poller.last_claimed.take() {
                    Some(attempt) => crate::testing::look_at(&shared.pool, &attempt)
                        .await
                        .map(|one| ran.push(one)),
                    None => unreachable!("BUG: a job was claimed and no attempt noted"),
                }
            }
            Err(source) => Err(source),
        };
        if outcome.is_err() {
            break;
        }
    }
    poller.close().await;
    handle.shutdown(options.settings().grace).await;
    outcome.map_err(|source| RunError::Store {
        doing: "run a job",
        source,
    })?;
    Ok(ran)
}

/// Parts that run until the runner stops. Dropping them aborts them.
#[derive(Default)]
struct Parts(JoinSet<Result<(), RunnerEnded>>);

impl Parts {
    fn start<P: Send + 'static>(
        &mut self,
        name: &'static str,
        part: P,
        run: for<'p> fn(&'p mut P) -> BoxFuture<'p, ()>,
    ) {
        self.0.spawn(restarted(name, part, run));
    }
}

fn supervise_in_background(
    shared: Arc<Shared>,
    parts: Parts,
    completer: Completer,
    reports: mpsc::UnboundedReceiver<Report>,
    keeper: tokio_util::sync::DropGuard,
) -> JobRunnerHandle {
    let (stop, stopped) = watch::channel(Stop::No);
    let (ended, has_ended) = watch::channel(None);
    let left = Arc::new(AtomicUsize::new(0));
    let supervisor = Supervisor {
        shared: Arc::clone(&shared),
        parts,
        stopped,
        left: Arc::clone(&left),
    };
    TaskTracker::new().spawn(async move {
        let reason = supervisor.run(completer, reports).await;
        drop(keeper);
        tracing::info!(reason = %reason, "runner ended");
        ended.send_replace(Some(reason));
    });
    JobRunnerHandle::new(shared, stop, has_ended, left)
}

struct Supervisor {
    shared: Arc<Shared>,
    parts: Parts,
    stopped: watch::Receiver<Stop>,
    left: Arc<AtomicUsize>,
}

impl Supervisor {
    async fn run(
        mut self,
        completer: Completer,
        mut reports: mpsc::UnboundedReceiver<Report>,
    ) -> RunnerEnded {
        let no_more_reports = CancellationToken::new();
        let reports_end = no_more_reports.clone();
        let handler = Arc::clone(&self.shared.error_handler);
        let mut last_reports = JoinSet::new();
        last_reports.spawn(async move { report_errors(handler, &mut reports, reports_end).await });
        let mut completing = JoinSet::new();
        completing.spawn(restarted("complete", completer, |completer| {
            Box::pin(completer.run())
        }));

        let reason = self.until_stopped(&mut completing).await;
        self.shared.stopping.cancel();
        prefetch::close(&self.shared);
        // The poller answers for its last claim: started or given back. Each statement has a deadline.
        let mut stopped = self.stopped.clone();
        let _ = tokio::time::timeout(STATEMENT_DEADLINE * 2, async {
            tokio::select! {
                // Cancel safe, says Tokio; the loop holds nothing.
                () = async { while self.parts.0.join_next().await.is_some() {} } => {}
                // A timer loses nothing.
                () = grace_over(&mut stopped, LAST_CLAIM) => {}
            }
        })
        .await;
        // What it leaves unstarted it gives back when it is dropped.
        self.parts.0.shutdown().await;

        // Nobody may be left to ask, nor a lease to wait under.
        let last_call = (reason != RunnerEnded::Stopped)
            .then(|| tokio::time::Instant::now().checked_add(self.shared.settings.grace))
            .flatten();
        self.wait_for_jobs(last_call).await;
        self.give_back_the_rest();
        self.shared.no_more_outcomes.cancel();
        let last = tokio::time::Instant::now() + LAST_FLUSH;
        let _ = tokio::time::timeout_at(last, completing.join_next()).await;

        let (done, unregistered) = oneshot::channel();
        if self
            .shared
            .lease_requests
            .send(LeaseRequest::Finish(done))
            .is_ok()
        {
            let _ = tokio::time::timeout_at(last, unregistered).await;
        }
        no_more_reports.cancel();
        let _ = tokio::time::timeout_at(last, last_reports.join_next()).await;
        reason
    }

    /// Waits for the order to stop, or for a part that can't go on.
    async fn until_stopped(&mut self, completing: &mut JoinSet<Result<(), RunnerEnded>>) -> RunnerEnded {
        loop {
            let has_parts = !self.parts.0.is_empty();
            tokio::select! {
                // Watches a value: loses nothing.
                _ = self.stopped.wait_for(|stop| *stop != Stop::No) => return RunnerEnded::Stopped,
                // Cancel safe, says Tokio: a part that was not taken stays in the set.
                Some(part) = self.parts.0.join_next(), if has_parts => {
                    if let Some(reason) = reason_of(part) {
                        return reason;
                    }
                }
                // As above.
                Some(part) = completing.join_next() => {
                    if let Some(reason) = reason_of(part) {
                        return reason;
                    }
                }
                // Watches a channel: loses nothing.
                () = self.shared.lease_requests.closed() => {
                    let message = "see the log".to_owned();
                    return RunnerEnded::Panicked { part: "renew", message };
                }
            }
        }
    }

    /// Waits for the running jobs, up to the deadline there is, which may come or change while we wait. `last_call`: if none does.
    async fn wait_for_jobs(&mut self, last_call: Option<tokio::time::Instant>) {
        loop {
            let deadline = match *self.stopped.borrow_and_update() {
                Stop::At(deadline) => Some(deadline),
                Stop::Drain | Stop::No => last_call,
            };
            tokio::select! {
                biased;
                // Reads a count: loses nothing.
                () = self.shared.slots.held_below(1) => return,
                // A timer loses nothing.
                () = until(deadline) => return,
                // Watches a value: loses nothing. Without a handle nobody can change it.
                Ok(()) = self.stopped.changed() => {}
            }
        }
    }

    /// No attempt is used up. The functions are told, and can't complete any more.
    fn give_back_the_rest(&self) {
        self.left.store(self.shared.slots.running(), Ordering::Release);
        let Some(current) = self.shared.incarnation() else {
            return;
        };
        for attempt in current.held() {
            if attempt.released() {
                attempt.cancel();
                self.shared.order(
                    &attempt,
                    None,
                    What::Release {
                        delay: Duration::ZERO,
                    },
                );
            }
        }
    }
}

fn reason_of(part: Result<Result<(), RunnerEnded>, tokio::task::JoinError>) -> Option<RunnerEnded> {
    match part {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        // Aborted with the runtime, or a panic outside of what we catch.
        Err(error) if error.is_cancelled() => Some(RunnerEnded::RuntimeGone),
        Err(error) => Some(RunnerEnded::Panicked {
            part: "supervise",
            message: error.to_string(),
        }),
    }
}

/// Waits until the grace has been over for so long. Without a deadline: for ever.
async fn grace_over(stopped: &mut watch::Receiver<Stop>, longer: Duration) {
    loop {
        let deadline = match *stopped.borrow_and_update() {
            Stop::At(deadline) => deadline.checked_add(longer),
            Stop::Drain | Stop::No => None,
        };
        tokio::select! {
            // A timer loses nothing.
            () = until(deadline) => return,
            // Watches a value: loses nothing. Without a handle nobody can change it.
            Ok(()) = stopped.changed() => {}
        }
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
