//! The keeper: renews the runner's lease, audits what it holds, ends incarnations.
//!
//! It has a thread, a runtime and a connection of its own, so that no job can keep it from renewing: not one that blocks all
//! worker threads, not one that holds every connection of the pool. Users' code never runs here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::incarnation::Incarnation;
use super::panics::PanicCount;
use super::session::{Role, STATEMENT_DEADLINE, Session, timed_out, within};
use super::shared::{LeaseRequest, Shared};
use crate::backoff::{Backoff, random};
use crate::store::runner as store;

/// A failed renewal is repeated within this time at most: there are two thirds of a lease to succeed in.
const RETRY_AT_MOST: Duration = Duration::from_millis(500);

/// A runner that works now and then ends an incarnation each time it has been idle for a lease, and clears up after them only
/// with its next renewal. That must not take long.
const ENDED_AT_MOST: usize = 4;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    session: Session,
    requests: mpsc::UnboundedReceiver<LeaseRequest>,
    current: Option<Arc<Incarnation>>,
    renew_at: Instant,
    backoff: Backoff,
    /// Ended incarnations whose rows may still be there.
    ended: Vec<Uuid>,
    description: String,
}

/// Starts the keeper's thread. The answer tells whether it could connect.
///
/// `stop` ends the thread without a statement: for a runtime that is gone.
pub(crate) fn start(
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<LeaseRequest>,
    stop: CancellationToken,
) -> Result<oneshot::Receiver<Result<(), sqlx::Error>>, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (connected, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("sqlxmq-renew".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let mut keeper = Keeper::new(shared, requests);
                let connection = keeper.session.take().await;
                let _ = connected.send(connection.map(|connection| keeper.session.put_back(connection)));
                let mut panics = PanicCount::default();
                loop {
                    tokio::select! {
                        // The thread ends: what was on its way is cut off with the connection.
                        () = stop.cancelled() => return,
                        // Runs to its end or until the thread does.
                        run = AssertUnwindSafe(keeper.run()).catch_unwind() => match run {
                            Ok(()) => return,
                            // A bug of ours. The lease must not go down with it at once.
                            Err(panic) => if panics.count("renew", panic).is_err() { return },
                        },
                    }
                }
            });
        })?;
    Ok(answer)
}

impl Keeper {
    fn new(shared: Arc<Shared>, requests: mpsc::UnboundedReceiver<LeaseRequest>) -> Self {
        let session = Session::new(shared.target.clone(), Role::Renew);
        Self {
            shared,
            session,
            requests,
            current: None,
            renew_at: Instant::now(),
            backoff: Backoff::default(),
            ended: Vec::new(),
            description: format!("process {}", std::process::id()),
        }
    }

    async fn run(&mut self) {
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                // A timer loses nothing.
                () = until(wake_at) => self.renew_or_end().await,
                // Cancel safe: a request that was not received stays in the queue.
                request = self.requests.recv() => match request {
                    Some(LeaseRequest::Fresh { refused, reply }) => {
                        let answer = self.fresh(refused).await;
                        let _ = reply.send(answer);
                    }
                    // Looked at by `wake_at`.
                    Some(LeaseRequest::Needed) => {}
                    Some(LeaseRequest::Finish(done)) => {
                        self.finish().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                }
            }
        }
    }

    /// A lease that nothing is held under is left to end.
    fn wake_at(&self) -> Option<Instant> {
        let current = self.current.as_ref().filter(|current| current.is_needed())?;
        Some(self.renew_at.min(current.deadline()))
    }

    async fn renew_or_end(&mut self) {
        let Some(current) = self.current.clone() else {
            return;
        };
        if current.is_over() {
            self.end(&current);
        } else if let Err(error) = self.renew(&current).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "lease not renewed, runner will try again"
            );
            let pause = self
                .backoff
                .failed(random())
                .min(RETRY_AT_MOST)
                .min(self.shared.settings.lease / 10);
            self.renew_at = Instant::now() + pause;
            if current.is_over() {
                self.end(&current);
            }
        }
    }

    /// Renews and audits. An incarnation that can't be renewed any more is ended, which is no error.
    async fn renew(&mut self, current: &Arc<Incarnation>) -> Result<(), sqlx::Error> {
        let lease = self.shared.settings.lease;
        let started = Instant::now();
        // Not past the local deadline: then the jobs must be told, whatever the statement is waiting for.
        let left = current.deadline().saturating_duration_since(started);
        let deadline = STATEMENT_DEADLINE.min(lease / 3).min(left);
        let mut connection = tokio::time::timeout(left, self.session.take())
            .await
            .unwrap_or_else(|_| Err(timed_out()))?;
        let answer = within(deadline, store::renew(&mut connection, current.id, lease)).await;
        let is_renewed = self.session.settle(connection, answer)?;
        if !is_renewed || !current.renewed(started) {
            self.end(current);
            return Ok(());
        }
        self.backoff.succeeded();
        self.shared.vitals.renewed();
        self.renew_at = started + lease / 3;
        // A failed audit is repeated with the next renewal; the lease itself is safe.
        if let Err(error) = self.audit(current).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "audit of the lease failed"
            );
        }
        Ok(())
    }

    async fn audit(&mut self, current: &Arc<Incarnation>) -> Result<(), sqlx::Error> {
        let inventory = current.inventory();
        let deadline = STATEMENT_DEADLINE.min(self.shared.settings.lease / 4);
        let mut connection = self.session.take().await?;
        let sent = store::audit(
            &mut connection,
            current.id,
            &inventory.ids,
            &inventory.claims,
            inventory.before_claim,
        );
        let answer = within(deadline, sent).await;
        let audit = self.session.settle(connection, answer)?;
        for attempt in inventory.lost(&audit.lost) {
            self.shared.lose(attempt);
        }
        if !audit.failed.is_empty() {
            tracing::warn!(
                jobs = audit.failed.len(),
                "jobs that this runner did not know it had were given back"
            );
            self.shared.schedule_changed.notify_one();
        }
        self.clear_up().await
    }

    /// The lease is over, and this incarnation with it: its jobs can't complete any more.
    fn end(&mut self, current: &Arc<Incarnation>) {
        let attempts = current.end();
        if !attempts.is_empty() {
            tracing::error!(
                jobs = attempts.len(),
                "the runner's lease is over: its jobs are lost"
            );
        }
        for attempt in &attempts {
            self.shared.lose(attempt);
        }
        // What is older is for the reaper, or has been taken by it already.
        if self.ended.len() == ENDED_AT_MOST {
            self.ended.remove(0);
        }
        self.ended.push(current.id);
        self.current = None;
        self.shared.set_incarnation(None);
        // With a lease of its own number, the poller can go on.
        self.shared.hints.notify_one();
    }

    /// Renews the lease, or starts a new one if it is over.
    async fn fresh(&mut self, refused: Option<Uuid>) -> Result<Arc<Incarnation>, sqlx::Error> {
        if let Some(current) = self.current.clone() {
            if refused != Some(current.id) && current.is_fresh(Instant::now()) {
                return Ok(current);
            }
            if current.is_over() {
                self.end(&current);
            } else {
                self.renew(&current).await?;
                if self.current.is_some() {
                    return Ok(current);
                }
            }
        }
        let lease = self.shared.settings.lease;
        let mut connection = self.session.take().await?;
        let id = new_incarnation()?;
        let started = Instant::now();
        let sent = store::register(&mut connection, id, lease, &self.description);
        let answer = within(STATEMENT_DEADLINE, sent).await;
        self.session.settle(connection, answer)?;
        let incarnation = Arc::new(Incarnation::new(id, lease, started));
        tracing::debug!(runner = %id, "runner registered");
        self.current = Some(Arc::clone(&incarnation));
        self.renew_at = started + lease / 3;
        self.shared.set_incarnation(Some(Arc::clone(&incarnation)));
        self.shared.vitals.renewed();
        Ok(incarnation)
    }

    /// Gives back at once what ended incarnations have left, instead of waiting for a reaper.
    async fn clear_up(&mut self) -> Result<(), sqlx::Error> {
        while let Some(&id) = self.ended.last() {
            let mut connection = self.session.take().await?;
            let answer = within(STATEMENT_DEADLINE.min(self.shared.settings.lease / 4), async {
                // The attempts are used up: their functions may have done half their work.
                store::audit(&mut connection, id, &[], &[], i64::MAX).await?;
                store::unregister(&mut connection, id).await
            })
            .await;
            self.session.settle(connection, answer)?;
            self.ended.pop();
        }
        Ok(())
    }

    async fn finish(&mut self) {
        let current = self.current.take();
        self.shared.set_incarnation(None);
        if let Some(current) = &current {
            current.end();
        }
        let goodbye = async {
            self.clear_up().await?;
            if let Some(current) = current {
                let mut connection = self.session.take().await?;
                let answer = within(STATEMENT_DEADLINE, store::unregister(&mut connection, current.id)).await;
                self.session.settle(connection, answer)?;
            }
            Ok(())
        };
        // What is left after a second is for the reaper.
        let answer: Result<(), sqlx::Error> = within(Duration::from_secs(3), goodbye).await;
        if let Err(error) = answer {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the runner could not unregister"
            );
        }
        self.session.close().await;
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// An id that was never there and will never be again. From the system, because a generator in this process is the same one in a
/// copy of it, of a virtual machine say.
fn new_incarnation() -> Result<Uuid, sqlx::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| sqlx::Error::Io(error.into()))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
