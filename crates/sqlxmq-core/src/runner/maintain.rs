//! Maintenance: makes due jobs ready, removes what expired, ends the attempts of runners that are gone, counts, and looks whether
//! tables have become too large.
//!
//! Every runner does it for all, on a connection of its own, so that nothing here can delay a claim or a renewal.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::session::{Role, STATEMENT_DEADLINE, Session, within};
use super::shared::Shared;
use crate::backoff::{Backoff, give_or_take_a_tenth, random};
use crate::compact::{Bounds, LOOK_EVERY};
use crate::store::compact;
use crate::store::runner::{self as store, RunnerSeen};

/// So that one promotion stays short; what is left follows at once.
const PROMOTE_AT_ONCE: i32 = 1000;

/// How long a due job that somebody has locked is left alone at first. It doubles up to [`LOCKED_PAUSE_MAX`].
const LOCKED_PAUSE: Duration = Duration::from_millis(5);
const LOCKED_PAUSE_MAX: Duration = Duration::from_millis(500);

const COUNT_EVERY: Duration = Duration::from_secs(5);

/// To count is not to take more than a twentieth of the time. The database sees to that where the count was done.
const COUNT_SHARE: u32 = 20;

/// The first look at the tables is soon: a program may be started because of what it has to clean up.
const FIRST_LOOK_AT_TABLES: Duration = Duration::from_secs(2);

/// How often the schedule is read while the poller sleeps. Each of its claims says whether something is due, and a spawn that is
/// due sooner than this from now notifies.
const LOOK_WHEN_ASLEEP: Duration = Duration::from_secs(4);

/// With no other runner about there is nobody to look after.
const LOOK_WHEN_ALONE: Duration = Duration::from_secs(5);

pub(crate) struct Maintainer {
    shared: Arc<Shared>,
    session: Session,
    backoff: Backoff,
    known_generation: u64,
    witness: Witness,
    promote_at: Instant,
    locked_pause: Duration,
    look_at: Instant,
    count_at: Instant,
    /// `None`: never.
    tables_at: Option<Instant>,
    /// How many jobs had ended at the last look.
    ended_before: u64,
    knows_whose: bool,
}

impl Maintainer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let session = Session::new(shared.target.clone(), Role::Maintain);
        let now = Instant::now();
        let tables_at = shared.settings.compacts().then(|| now + FIRST_LOOK_AT_TABLES);
        Self {
            shared,
            session,
            backoff: Backoff::default(),
            known_generation: 0,
            witness: Witness::default(),
            promote_at: now,
            locked_pause: Duration::ZERO,
            look_at: now,
            count_at: now + COUNT_EVERY,
            tables_at,
            ended_before: 0,
            knows_whose: false,
        }
    }

    /// Runs until the runner stops.
    pub(crate) async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        while !shared.stopping.is_cancelled() {
            let soonest = self.promote_at.min(self.look_at).min(self.count_at);
            let next = self.tables_at.map_or(soonest, |at| at.min(soonest));
            tokio::select! {
                // A timer loses nothing.
                () = tokio::time::sleep_until(next.into()) => {}
                // A hint that is not taken stays.
                () = shared.schedule_changed.notified() => self.promote_at = Instant::now(),
                // A token loses nothing.
                () = shared.stopping.cancelled() => break,
            }
            match self.do_what_is_due().await {
                Ok(()) => self.backoff.succeeded(),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "maintenance failed, runner will try again"
                    );
                    tokio::select! {
                        // A timer loses nothing.
                        () = tokio::time::sleep(self.backoff.failed(random())) => {}
                        // A token loses nothing.
                        () = shared.stopping.cancelled() => break,
                    }
                }
            }
        }
        self.session.close().await;
    }

    async fn do_what_is_due(&mut self) -> Result<(), sqlx::Error> {
        let now = Instant::now();
        if self.promote_at <= now {
            self.promote().await?;
        }
        if self.look_at <= now {
            self.look_after_runners().await?;
        }
        if self.count_at <= now {
            // Counts that fail must not be repeated at once, in the way of what is due.
            self.count_at = now + COUNT_EVERY;
            let mut connection = self.session.take().await?;
            let started = Instant::now();
            let answer = within(STATEMENT_DEADLINE, store::refresh_counts(&mut connection)).await;
            self.count_at = Instant::now() + give_or_take_a_tenth(COUNT_EVERY, random());
            if answer.is_err() {
                // It may have been given up after long work.
                self.count_at += started.elapsed() * COUNT_SHARE;
            }
            self.session.settle(connection, answer)?;
        }
        if self.tables_at.is_some_and(|at| at <= now) {
            self.tables_at = Some(now + give_or_take_a_tenth(LOOK_EVERY, random()));
            // Nothing dies without jobs, or nothing to speak of.
            let ended = self.shared.slots.ended();
            if std::mem::replace(&mut self.ended_before, ended) != ended || self.shared.slots.held() > 0 {
                self.look_at_tables().await?;
            }
        }
        Ok(())
    }

    /// Whether they are worth a vacuum. That is another's work: it may take seconds.
    async fn look_at_tables(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.session.take().await?;
        let answer = within(STATEMENT_DEADLINE, compact::look(&mut connection)).await;
        let tables = self.session.settle(connection, answer)?;
        let bounds = Bounds::default();
        if tables.iter().any(|table| bounds.is_due(table)) {
            self.shared.tables_are_large.notify_one();
        }
        if !self.knows_whose && !tables.iter().any(|table| table.is_ours) {
            tracing::debug!(
                "the role of the runner may not vacuum the tables of the queue, which only their owner can make small"
            );
        }
        self.knows_whose = true;
        Ok(())
    }

    async fn promote(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.session.take().await?;
        let answer = within(
            STATEMENT_DEADLINE,
            store::promote(&mut connection, PROMOTE_AT_ONCE),
        )
        .await;
        let promoted = self.session.settle(connection, answer)?;
        if promoted.promoted > 0 || promoted.expired > 0 {
            self.shared.hints.notify_one();
        }
        let poll_interval = give_or_take_a_tenth(self.shared.settings.poll_interval, random());
        let pause = match promoted.next_in {
            // Due, and locked by somebody: another promotion, which is over in a moment, or a user's transaction, which may take
            // its time.
            Some(Duration::ZERO) if promoted.promoted == 0 => {
                self.locked_pause = (self.locked_pause * 2).clamp(LOCKED_PAUSE, LOCKED_PAUSE_MAX);
                self.locked_pause.min(poll_interval)
            }
            next_in => {
                let asleep = self.shared.vitals.asleep.load(Ordering::Relaxed);
                let pause = if asleep {
                    poll_interval.max(LOOK_WHEN_ASLEEP)
                } else {
                    poll_interval
                };
                next_in.map_or(pause, |next_in| next_in.min(pause))
            }
        };
        if promoted.promoted > 0 || promoted.next_in != Some(Duration::ZERO) {
            self.locked_pause = Duration::ZERO;
        }
        self.promote_at = Instant::now() + pause;
        Ok(())
    }

    async fn look_after_runners(&mut self) -> Result<(), sqlx::Error> {
        let mut connection = self.session.take().await?;
        let lease = self.shared.settings.lease;
        if self.session.generation() != self.known_generation {
            // What was seen over a session that broke is no witness.
            self.known_generation = self.session.generation();
            self.witness = Witness::default();
        }
        let witness = &mut self.witness;
        let own_leases = !self.shared.settings.keep_alive || self.shared.own_leases.load(Ordering::Relaxed);
        let ourselves = self.shared.incarnation().map(|current| current.id);
        let answer = within(STATEMENT_DEADLINE, async {
            let seen = store::runners_seen(&mut connection).await?;
            let others = seen.iter().any(|runner| Some(runner.runner) != ourselves);
            let (runners, beats) = witness.look(Instant::now(), seen, silence(lease));
            // Leases of single jobs end with their runner. Without others, only our own jobs can have some.
            let mut jobs = match others || own_leases {
                true => store::reap_jobs(&mut connection).await?,
                false => 0,
            };
            if !runners.is_empty() {
                let (reaped, reaped_jobs) = store::reap(&mut connection, &runners, &beats).await?;
                if reaped > 0 || reaped_jobs > 0 {
                    tracing::warn!(
                        runners = reaped,
                        jobs = reaped_jobs,
                        "runners whose leases were over are gone"
                    );
                }
                jobs += reaped_jobs;
            }
            Ok((others, jobs))
        })
        .await;
        let (others, jobs) = self.session.settle(connection, answer)?;
        if jobs > 0 {
            self.shared.hints.notify_one();
            self.promote_at = Instant::now();
        }
        let every = Duration::from_secs(1).min(lease / 4);
        let pause = if others || own_leases {
            every
        } else {
            LOOK_WHEN_ALONE.min(lease / 4)
        };
        self.look_at = Instant::now() + give_or_take_a_tenth(pause, random());
        Ok(())
    }
}

/// How long a beat must stand still before our eyes: a living runner renews every third of its lease.
fn silence(lease: Duration) -> Duration {
    (lease / 3 + Duration::from_secs(2)).min(lease)
}

/// The second witness of a reaper: what it has seen itself, on one session.
#[derive(Debug, Default)]
struct Witness {
    first_seen: HashMap<(Uuid, i64), Instant>,
}

impl Witness {
    /// Returns those that are expired and have been silent for that long.
    fn look(&mut self, now: Instant, seen: Vec<RunnerSeen>, silence: Duration) -> (Vec<Uuid>, Vec<i64>) {
        let before = std::mem::take(&mut self.first_seen);
        let mut silent = (Vec::new(), Vec::new());
        for RunnerSeen {
            runner,
            beat,
            expired,
        } in seen
        {
            let first_seen = before.get(&(runner, beat)).copied().unwrap_or(now);
            self.first_seen.insert((runner, beat), first_seen);
            if expired && now.saturating_duration_since(first_seen) >= silence {
                silent.0.push(runner);
                silent.1.push(beat);
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(12);

    fn seen(beat: i64, expired: bool) -> Vec<RunnerSeen> {
        vec![RunnerSeen {
            runner: Uuid::from_u128(1),
            beat,
            expired,
        }]
    }

    #[test]
    fn an_expired_runner_is_not_reaped_at_first_sight() {
        let mut witness = Witness::default();
        let now = Instant::now();
        assert!(witness.look(now, seen(7, true), SILENCE).0.is_empty());
        assert!(
            witness
                .look(now + SILENCE / 2, seen(7, true), SILENCE)
                .0
                .is_empty()
        );
        assert_eq!(witness.look(now + SILENCE, seen(7, true), SILENCE).1, [7]);
    }

    #[test]
    fn a_beat_starts_the_silence_again() {
        let mut witness = Witness::default();
        let now = Instant::now();
        witness.look(now, seen(7, true), SILENCE);
        assert!(witness.look(now + SILENCE, seen(8, true), SILENCE).0.is_empty());
    }

    #[test]
    fn a_silent_runner_whose_lease_holds_is_left_alone() {
        let mut witness = Witness::default();
        let now = Instant::now();
        witness.look(now, seen(7, false), SILENCE);
        assert!(witness.look(now + SILENCE, seen(7, false), SILENCE).0.is_empty());
    }
}
