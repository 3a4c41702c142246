//! The completer itself: gathers orders, hands them to their flushes, answers those who wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::order::{Asker, Flush, Order, Pending, Resolution, What, in_flushes};
use super::transact::Sent;
use super::wire::Wire;
use crate::backoff::{Backoff, random};
use crate::error::classify::is_transient;
use crate::runner::attempt::Attempt;
use crate::runner::error::{CompleteError, Refusal, is_disconnect};
use crate::runner::second::{Second, until};
use crate::runner::shared::Shared;

/// So many outcomes at most are stored together: their jobs' places are free meanwhile for the next claim, which goes on beside
/// the flush that follows.
const FLUSH_AT_MOST: usize = 512;

pub(crate) struct Completer {
    pub(super) shared: Arc<Shared>,
    pub(super) wire: Wire,
    /// For half of a large flush of ordered jobs' completions, opened when there is one.
    pub(super) second_wire: Wire,
    pub(super) second: Second,
    pub(super) backoff: Backoff,
    pub(super) inbox: mpsc::UnboundedReceiver<Order>,
    pub(super) waiting: Vec<Pending>,
    /// Whether completions start the next in line of ordered channels.
    pub(super) starts_next: bool,
    /// Whether those of the last flush did.
    pub(super) has_started_next: bool,
}

impl Completer {
    pub(crate) fn new(shared: Arc<Shared>, inbox: mpsc::UnboundedReceiver<Order>) -> Self {
        Self {
            wire: Wire::first(&shared),
            second_wire: Wire::beside(&shared),
            second: Second::new(),
            shared,
            backoff: Backoff::default(),
            inbox,
            waiting: Vec::new(),
            starts_next: false,
            has_started_next: false,
        }
    }

    /// From now on completions start the next in line: not for who runs one job only, nor if leases begin with a claim.
    pub(crate) fn start_next(&mut self) {
        self.starts_next = self.shared.settings.keep_alive;
    }

    /// Opens the connection, so that a runner that can't have one says so at its start.
    pub(crate) async fn connect(&mut self) -> Result<(), sqlx::Error> {
        let connection = self.wire.take().await?;
        self.wire.session.put_back(connection);
        Ok(())
    }

    /// Runs until there are no more outcomes to come.
    pub(crate) async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            self.second.close_if_unused(&mut self.second_wire.session).await;
            let waiting = self.waiting.iter().map(|pending| pending.not_before);
            let next = waiting
                .chain(self.second.kept_until(&self.second_wire.session))
                .min();
            if next.is_none_or(|at| at > Instant::now()) {
                let mut fresh = Vec::new();
                tokio::select! {
                    biased;
                    // Cancel safe: what `recv_many` has taken is in `fresh` only if it was the arm that ran.
                    _ = self.inbox.recv_many(&mut fresh, 256) => {}
                    // A timer loses nothing.
                    () = until(next) => {}
                    // A token loses nothing. Only when nothing waits any more.
                    () = shared.no_more_outcomes.cancelled(), if self.waiting.is_empty() => {
                        if self.inbox.is_empty() {
                            self.wire.session.close().await;
                            self.second_wire.session.close().await;
                            return;
                        }
                    }
                }
                let now = Instant::now();
                self.waiting
                    .extend(fresh.into_iter().map(|order| Pending::new(order, now)));
            }
            // Those who were answered just now, and what has been started in their places, may be about to ask.
            tokio::task::yield_now().await;
            let now = Instant::now();
            while self.waiting.len() < FLUSH_AT_MOST
                && let Ok(order) = self.inbox.try_recv()
            {
                self.waiting.push(Pending::new(order, now));
            }
            self.flush_due().await;
        }
    }

    pub(super) async fn flush_due(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|p| p.not_before <= now);
        self.waiting = later;
        for (flush, group) in in_flushes(due) {
            match flush {
                Flush::Completes(runner) => self.complete(runner, group).await,
                Flush::Fails(runner) | Flush::FailsAsTold(runner) => self.fail(runner, group).await,
                Flush::Releases(runner, delay) => self.release(runner, delay, group).await,
                Flush::Alone(_) => {
                    for pending in group {
                        self.flush_alone(pending).await;
                    }
                }
            }
        }
    }

    pub(super) async fn flush_alone(&mut self, pending: Pending) {
        let runner = pending.order.attempt.incarnation.id;
        if pending.ticket.is_some() {
            return self.resolve_completion(pending).await;
        }
        match pending.order.what {
            What::Complete { .. } => self.complete(runner, vec![pending]).await,
            What::Fail { .. } => self.fail(runner, vec![pending]).await,
            What::Release { delay } => self.release(runner, delay, vec![pending]).await,
            What::Checkpoint { .. } => self.checkpoint(pending).await,
            What::KeepAlive { .. } => self.keep_alive(pending).await,
            What::Resolve { .. } => self.resolve_order(pending).await,
        }
    }

    /// One transaction of ours, for one order.
    pub(super) async fn transact<T, F>(&mut self, deadline: Duration, work: F) -> Sent<T>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    {
        let sent = self.wire.transact(deadline, work).await;
        if sent.is_committed() {
            self.backoff.succeeded();
        }
        sent
    }

    pub(super) fn note_failure(&self, doing: &'static str, error: &sqlx::Error) {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            doing,
            "runner will try again"
        );
    }

    pub(super) fn pause_after(&mut self, doing: &'static str, error: &sqlx::Error) -> Duration {
        self.note_failure(doing, error);
        self.backoff.failed(random())
    }

    /// Puts a failed flush back: after a lost connection all of it, after an error of the statement one by one.
    pub(super) async fn retry(&mut self, doing: &'static str, group: Vec<Pending>, error: sqlx::Error) {
        let is_lost = is_disconnect(&error);
        if !is_lost && group.len() > 1 {
            return self.one_by_one(doing, group, &error);
        }
        let may_help = is_lost || is_transient(&error);
        let pause = self.pause_after(doing, &error);
        let mut error = Some(error);
        for mut pending in group {
            let is_asked_for = matches!(pending.order.what, What::Complete { .. } | What::KeepAlive { .. });
            match error.take() {
                // Whoever asked can decide what to do.
                Some(error) if is_asked_for && !may_help => self.refuse(pending, Refusal::Store(error)),
                kept => {
                    error = kept;
                    pending.tries += 1;
                    self.waiting.push(pending.later(pause));
                }
            }
        }
    }

    /// Puts a failed flush back, each to be tried alone.
    pub(super) fn one_by_one(&mut self, doing: &'static str, group: Vec<Pending>, error: &sqlx::Error) {
        self.note_failure(doing, error);
        let alone = group.into_iter().map(|pending| Pending {
            alone: true,
            ..pending
        });
        self.waiting.extend(alone);
    }

    /// Failures and releases are tried at least once. After the lease, the reaper does what is left to do.
    pub(super) fn give_up_late(&mut self, group: Vec<Pending>) -> Vec<Pending> {
        let (late, group) = group
            .into_iter()
            .partition::<Vec<_>, _>(|p| p.tries > 0 && p.order.attempt.incarnation.is_over());
        for pending in late {
            self.refuse(pending, Refusal::LeaseLost);
        }
        group
    }

    /// Completed jobs of one runner.
    pub(super) fn accept(&mut self, done: Vec<Pending>) {
        let attempts = || done.iter().map(|pending| &*pending.order.attempt);
        attempts().for_each(Attempt::completed);
        if let Some(first) = attempts().next() {
            first.incarnation.forget_all(attempts());
        }
        for pending in done {
            self.reply(pending, Ok(()));
        }
    }

    pub(super) fn refuse(&mut self, pending: Pending, refusal: Refusal) {
        let attempt = Arc::clone(&pending.order.attempt);
        let slot = pending.order.slot.clone();
        match &refusal {
            Refusal::LeaseLost => self.shared.lose(&attempt),
            // Nobody is to try again under this token. If the row is there, the next audit fails it.
            Refusal::OutcomeUnknown(_) => self.shared.lose(&attempt),
            Refusal::Store(_) | Refusal::Commit(_) => match &pending.order.what {
                What::Complete {
                    asker: Asker::Runner(as_told),
                } => {
                    let as_told = *as_told;
                    // Whether its function has got to its end by now, or is about to.
                    if attempt.completion_failed() || attempt.function_failed() {
                        let error = CompleteError::new(attempt.id, refusal);
                        self.shared
                            .fail_completing(&attempt, slot.as_ref(), as_told, error);
                    }
                    return;
                }
                What::Complete { .. } if attempt.completion_failed() => {
                    self.shared.fail_dropped(&attempt, slot.as_ref());
                }
                _ => {}
            },
            Refusal::AlreadyCompleted => {}
        }
        self.reply(pending, Err(refusal));
    }

    pub(super) fn reply(&self, pending: Pending, answer: Result<(), Refusal>) {
        // The slot is free before whoever waits goes on.
        drop(pending.order.slot);
        match pending.order.what {
            What::Complete {
                asker: Asker::Job(reply),
            }
            | What::Checkpoint { reply, .. }
            | What::KeepAlive { reply, .. } => {
                // Nobody waits any more: the outcome stands all the same.
                let _ = reply.send(answer);
            }
            What::Resolve { reply, .. } => {
                let _ = reply.send(Resolution::Unknown);
            }
            What::Complete { .. } | What::Fail { .. } | What::Release { .. } => {}
        }
    }
}
