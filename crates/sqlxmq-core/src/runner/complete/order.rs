//! What the completer is asked for, and what has been tried already. Pure state, no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::runner::attempt::Attempt;
use crate::runner::error::Refusal;
use crate::runner::slots::Slot;

/// How long an outcome that somebody else has locked is left alone at first. It doubles up to [`LOCKED_PAUSE_MAX`].
const LOCKED_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LOCKED_PAUSE_MAX: Duration = Duration::from_millis(500);

/// What is to become of one attempt.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) attempt: Arc<Attempt>,
    /// Counted as running until the outcome is stored.
    pub(crate) slot: Option<Arc<Slot>>,
    pub(crate) what: What,
}

pub(crate) type Reply = oneshot::Sender<Result<(), Refusal>>;

#[derive(Debug)]
pub(crate) enum What {
    Complete {
        asker: Asker,
    },
    Fail {
        error: String,
        /// `None`: the job's own retries and backoff.
        as_told: Option<AsTold>,
    },
    Release {
        delay: Duration,
    },
    Checkpoint {
        checkpoint: OwnedCheckpoint,
        reply: Reply,
    },
    KeepAlive {
        duration: Duration,
        reply: Reply,
    },
    /// Whether a transaction of the job's own was committed, whose answer was lost.
    Resolve {
        ticket: Ticket,
        reply: oneshot::Sender<Resolution>,
    },
}

/// Who wants to know whether a job is completed.
#[derive(Debug)]
pub(crate) enum Asker {
    /// The job waits for it.
    Job(Reply),
    /// Nobody waits: the function has returned, and its runner completes what it was left. If that can't be done, the attempt fails
    /// as told.
    Runner(Option<AsTold>),
}

/// What is to come after a failure, if not what the job's row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsTold {
    /// No further attempt.
    Dead,
    /// The next attempt, if there is one left, after that time.
    After(Duration),
    /// A backoff that grows by its first step.
    Linear,
}

/// A checkpoint on its way to the completer.
#[derive(Debug)]
pub(crate) struct OwnedCheckpoint {
    pub(crate) payload_json: Option<String>,
    pub(crate) payload_bytes: Option<Vec<u8>>,
    pub(crate) extra_retries: i32,
    pub(crate) keep_alive: Option<Duration>,
}

/// A transaction whose commit was sent and not answered.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) xid: String,
    /// Where that id means something.
    pub(crate) timeline: Option<String>,
    pub(crate) since: Instant,
    /// Whether it deletes the running row, so that a row that is there says that it was not committed.
    pub(crate) ends_attempt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    Committed,
    Aborted,
    Unknown,
}

/// An order with what has been tried.
pub(super) struct Pending {
    pub(super) order: Order,
    pub(super) not_before: Instant,
    pub(super) pause: Duration,
    pub(super) tries: u32,
    /// Taken out of its flush because that failed: one bad outcome must not hold up the others.
    pub(super) alone: bool,
    /// Completed in a transaction of ours whose commit was not answered.
    pub(super) ticket: Option<Ticket>,
    /// Completed by a statement of ours that was not answered, so that nobody knows by which transaction.
    pub(super) unanswered: bool,
}

impl Pending {
    /// Due at once. `now`: asked for once for many.
    pub(super) fn new(order: Order, now: Instant) -> Self {
        Self {
            order,
            not_before: now,
            pause: LOCKED_PAUSE,
            tries: 0,
            alone: false,
            ticket: None,
            unanswered: false,
        }
    }

    /// Whether a job waits to be told that it is completed.
    pub(super) fn is_waited_for(&self) -> bool {
        matches!(self.order.what, What::Complete { asker: Asker::Job(_) })
    }

    pub(super) fn later(mut self, pause: Duration) -> Self {
        self.not_before = Instant::now() + pause;
        self
    }

    pub(super) fn later_for_lock(mut self) -> Self {
        let pause = self.pause;
        self.pause = (pause * 2).min(LOCKED_PAUSE_MAX);
        self.later(pause)
    }

    pub(super) fn key(&self) -> (Uuid, i64) {
        (self.order.attempt.id, self.order.attempt.claim)
    }
}

/// Which outcomes share a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flush {
    Completes(Uuid),
    Fails(Uuid),
    FailsAsTold(Uuid),
    Releases(Uuid, Duration),
    Alone(usize),
}

pub(super) fn in_flushes(due: Vec<Pending>) -> BTreeMap<Flush, Vec<Pending>> {
    let mut flushes: BTreeMap<Flush, Vec<Pending>> = BTreeMap::new();
    for (nth, pending) in due.into_iter().enumerate() {
        let runner = pending.order.attempt.incarnation.id;
        let flush = match pending.order.what {
            _ if pending.alone || pending.ticket.is_some() => Flush::Alone(nth),
            What::Complete { .. } => Flush::Completes(runner),
            What::Fail { as_told: None, .. } => Flush::Fails(runner),
            What::Fail { as_told: Some(_), .. } => Flush::FailsAsTold(runner),
            What::Release { delay } => Flush::Releases(runner, delay),
            What::Checkpoint { .. } | What::KeepAlive { .. } | What::Resolve { .. } => Flush::Alone(nth),
        };
        flushes.entry(flush).or_default().push(pending);
    }
    flushes
}
