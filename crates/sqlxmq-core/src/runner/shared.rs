//! What the parts of one runner share: where orders, hints and reports go. No logic of its own.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::attempt::Attempt;
use super::complete::{AsTold, Order, What};
use super::error::{CompleteError, JobDropped, JobLeaseLost, describe};
use super::health::Vitals;
use super::incarnation::Incarnation;
use super::place::Place;
use super::prefetch::Prefetched;
use super::session::Target;
use super::settings::Settings;
use super::slots::{Slot, Slots};
use crate::job::CurrentJob;
use crate::registry::{ErrorHandler, JobRegistry, NamedJob};

/// What is done with a claimed job.
#[derive(Clone)]
pub(crate) enum Work {
    /// `JobRunnerOptions::new`: every name goes to one closure.
    Closure(Arc<dyn Fn(CurrentJob) + Send + Sync + 'static>),
    /// Each name goes to its job's function.
    Registry {
        registry: Arc<JobRegistry>,
        jobs: Arc<HashMap<&'static str, &'static NamedJob>>,
    },
}

/// One running runner.
pub(crate) struct Shared {
    /// The users' pool: for the jobs, never for the runner.
    pub(crate) pool: PgPool,
    pub(crate) settings: Settings,
    pub(crate) target: Target,
    pub(crate) work: Work,
    pub(crate) error_handler: Arc<ErrorHandler>,
    pub(crate) name_keys: Option<Vec<i64>>,
    pub(crate) channel_name_keys: Option<Vec<i64>>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) prefetched: Prefetched,
    /// The users' jobs.
    pub(crate) jobs: Place,
    pub(crate) vitals: Vitals,
    /// Whether some job has asked for a lease of its own.
    pub(crate) own_leases: AtomicBool,
    /// Something may be ready.
    pub(crate) hints: Notify,
    /// Something may be due soon.
    pub(crate) schedule_changed: Notify,
    /// Tables may be worth a vacuum.
    pub(crate) tables_are_large: Notify,
    /// No more claims. Cancelled once, for good.
    pub(crate) stopping: CancellationToken,
    /// No more outcomes will come: the completer ends when it has flushed the last.
    pub(crate) no_more_outcomes: CancellationToken,
    /// The lease that claims are made under, while there is one.
    pub(crate) incarnation: Mutex<Option<Arc<Incarnation>>>,
    /// The timeline of the completer's server: transaction ids of another one mean nothing.
    pub(crate) timeline: Mutex<Option<String>>,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) lease_requests: mpsc::UnboundedSender<LeaseRequest>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

/// What the renewing thread is asked.
#[derive(Debug)]
pub(crate) enum LeaseRequest {
    /// For a lease that is fresh enough to claim under, and not this one, which the database has refused.
    Fresh {
        refused: Option<Uuid>,
        reply: oneshot::Sender<Result<Arc<Incarnation>, sqlx::Error>>,
    },
    /// To look again whether the lease is needed: something has been claimed.
    Needed,
    /// To give up the lease and end.
    Finish(oneshot::Sender<()>),
}

/// An error for the users' handler, found where users' code must not run.
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) error: Box<dyn std::error::Error + Send + 'static>,
}

impl Shared {
    pub(crate) fn incarnation(&self) -> Option<Arc<Incarnation>> {
        self.incarnation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_incarnation(&self, incarnation: Option<Arc<Incarnation>>) {
        *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = incarnation;
    }

    pub(crate) fn timeline(&self) -> Option<String> {
        self.timeline
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_timeline(&self, timeline: Option<String>) {
        *self.timeline.lock().unwrap_or_else(PoisonError::into_inner) = timeline;
    }

    /// Hands an order to the completer. False: after the runner's end nobody takes it, and the lease decides.
    pub(crate) fn order(&self, attempt: &Arc<Attempt>, slot: Option<&Arc<Slot>>, what: What) -> bool {
        let order = Order {
            attempt: Arc::clone(attempt),
            slot: slot.cloned(),
            what,
        };
        let is_taken = self.orders.send(order).is_ok();
        if !is_taken {
            tracing::debug!(job.id = %attempt.id, "the runner has ended before the outcome of a job could be stored");
        }
        is_taken
    }

    pub(crate) fn fail_dropped(&self, attempt: &Arc<Attempt>, slot: Option<&Arc<Slot>>) {
        self.order(
            attempt,
            slot,
            What::Fail {
                error: describe(&JobDropped),
                as_told: None,
            },
        );
        self.report(attempt.name(), Box::new(JobDropped));
    }

    /// The runner could not complete a job that its function has left to it.
    pub(crate) fn fail_completing(
        &self,
        attempt: &Arc<Attempt>,
        slot: Option<&Arc<Slot>>,
        as_told: Option<AsTold>,
        error: CompleteError,
    ) {
        self.order(
            attempt,
            slot,
            What::Fail {
                error: describe(&error),
                as_told,
            },
        );
        self.report(attempt.name(), Box::new(error));
    }

    /// Tells a job that its attempt is over, once.
    pub(crate) fn lose(&self, attempt: &Arc<Attempt>) {
        attempt.incarnation.forget(attempt);
        if attempt.lost() {
            attempt.cancel();
            tracing::warn!(
                job.id = %attempt.id,
                job.name = attempt.name(),
                job.attempt = attempt.number,
                "job lost its lease"
            );
            // Not started yet: nobody's code is concerned.
            if attempt.name().is_empty() {
                return;
            }
            let error = JobLeaseLost {
                id: attempt.id,
                attempt: attempt.number,
            };
            self.report(attempt.name(), Box::new(error));
        }
    }

    pub(crate) fn report(&self, name: &str, error: Box<dyn std::error::Error + Send + 'static>) {
        // Refused only after the runner's end.
        let _ = self.reports.send(Report {
            name: name.to_owned(),
            error,
        });
    }

    /// Waits for a lease to claim under. `refused`: the one the database says is over.
    pub(crate) async fn fresh_lease(&self, refused: Option<Uuid>) -> Result<Arc<Incarnation>, sqlx::Error> {
        let (reply, answer) = oneshot::channel();
        if self
            .lease_requests
            .send(LeaseRequest::Fresh { refused, reply })
            .is_err()
        {
            return Err(sqlx::Error::WorkerCrashed);
        }
        answer.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// The lease of one job that its runner does not keep alive.
    pub(crate) fn own_lease(&self) -> Option<Duration> {
        (!self.settings.keep_alive).then_some(self.settings.lease)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A runner's id before it has a lease: a claim under it only tells whether there is something to claim.
pub(crate) const NO_LEASE: Uuid = Uuid::nil();
