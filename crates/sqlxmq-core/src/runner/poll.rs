//! The poller: carries out the plan. Claims; what it has claimed is `unstarted`, and perhaps to be `fetch`ed first; how it sleeps is in
//! `sleep`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use uuid::Uuid;

#[cfg(feature = "testing")]
use super::attempt::Attempt;
use super::claim::{ClaimInFlight, ClaimedJob};
use super::fetch::Unfetched;
use super::fetch_beside::FetchBeside;
use super::in_a_row::InARow;
use super::incarnation::Incarnation;
use super::pace::Pace;
use super::plan::{Found, Limits, Plan, Step};
use super::second::until;
use super::session::{STATEMENT_DEADLINE, Session, within};
use super::shared::{NO_LEASE, Shared};
use super::sleep::wake_buckets;
use super::undelivered::Undelivered;
use super::unstarted::Unstarted;
use crate::backoff::{Backoff, give_or_take_a_tenth, random};
use crate::store::runner::{self as store, Claimed, Payload};

/// So many jobs are claimed in one statement at most: so that the first of many start soon, and small payloads come with the claim. A
/// multiple of what a run has, so that none is cut in two.
const CLAIM_AT_MOST: usize = 480;

const SWEEP_AT_MOST_EVERY: Duration = Duration::from_millis(200);

pub(crate) struct Poller {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) plan: Plan,
    /// `None`: nothing is claimed ahead.
    pace: Option<Pace>,
    backoff: Backoff,
    known_generation: u64,
    after_channel: i64,
    sweep_at: Option<Instant>,
    /// Where this runner says that it sleeps.
    pub(super) buckets: Vec<i32>,
    undelivered: Arc<Undelivered>,
    /// What was claimed and has to be fetched.
    unfetched: Option<Unfetched>,
    /// Transactions that may have spawned before the runner slept.
    pub(super) in_flight: Vec<String>,
    /// Whether somebody said that there is something, and no claim has been answered since.
    is_hinted: bool,
    /// For the testing kit, which claims one at a time.
    #[cfg(feature = "testing")]
    pub(super) last_claimed: Option<Arc<Attempt>>,
}

impl Poller {
    pub(crate) fn new(shared: Arc<Shared>, session: Session) -> Self {
        let limits = Limits {
            min: shared.settings.min_concurrency,
            max: shared.settings.max_concurrency,
        };
        // A lease of its own begins with the claim, and is for the job to run in.
        let pace = shared.settings.keep_alive.then(|| Pace::new(Instant::now()));
        let buckets = wake_buckets(shared.name_keys.as_deref(), shared.channel_name_keys.as_deref());
        Self {
            shared,
            session,
            plan: Plan::new(limits, Instant::now()),
            pace,
            backoff: Backoff::default(),
            known_generation: 0,
            after_channel: 0,
            sweep_at: None,
            buckets,
            undelivered: Arc::default(),
            unfetched: None,
            in_flight: Vec::new(),
            is_hinted: false,
            #[cfg(feature = "testing")]
            last_claimed: None,
        }
    }

    /// Claims until the runner stops.
    pub(crate) async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut beside = FetchBeside::new(&shared, &self.undelivered);
        while !shared.stopping.is_cancelled() {
            match self.go_on(&mut beside).await {
                Ok(()) => self.backoff.succeeded(),
                Err(error) => {
                    // The next one may lead to another server, which knows nothing of these jobs: they are given back.
                    if !self.session.is_connected() {
                        self.unfetched = None;
                        beside.disconnect();
                    }
                    self.pause_after(&error).await;
                }
            }
            self.note_sleep();
        }
        // Given back.
        self.unfetched = None;
        beside.close().await;
        self.session.close().await;
    }

    /// What was claimed is fetched before anything else: beside that if it can be, and otherwise at once.
    async fn go_on(&mut self, beside: &mut FetchBeside) -> Result<(), sqlx::Error> {
        beside.reap();
        beside.close_if_unused().await;
        let Some(jobs) = self.unfetched.take() else {
            let step = self.next_step();
            return self.carry_out(step, beside.look_again_at()).await;
        };
        if beside.is_free(&self.session) {
            beside.begin(jobs);
            return Ok(());
        }
        let connecting = beside.connect_if_worth_it(self.session.generation());
        let fetching = jobs.fetch(&mut self.session, &self.undelivered);
        tokio::select! {
            // Dropped when the runner stops: the jobs are given back, and the connection is closed.
            (fetched, ()) = async { tokio::join!(fetching, connecting) } => fetched,
            // A token loses nothing.
            () = self.shared.stopping.cancelled() => Ok(()),
        }
    }

    /// `look_again_at`: ends a wait that has nothing else to end it.
    async fn carry_out(&mut self, step: Step, look_again_at: Option<Instant>) -> Result<(), sqlx::Error> {
        match step {
            Step::Claim(max_jobs) => self.claim(max_jobs).await,
            Step::FallAsleep => self.fall_asleep().await,
            Step::Awaken => self.awaken().await,
            Step::WaitForSlot { below } => {
                tokio::select! {
                    // Reads a count: loses nothing.
                    () = self.shared.slots.held_below(below) => {
                        self.plan.slot_freed(Instant::now());
                    }
                    // A timer loses nothing.
                    () = until(look_again_at) => {}
                    // A token loses nothing.
                    () = self.shared.stopping.cancelled() => {}
                }
                Ok(())
            }
            Step::WaitUntil(at) => {
                tokio::select! {
                    // A hint that is not taken stays.
                    () = self.shared.hints.notified() => {
                        self.is_hinted = true;
                        self.plan.hinted(Instant::now());
                    }
                    // A timer loses nothing.
                    () = until(Some(at).into_iter().chain(look_again_at).min()) => {}
                    // A token loses nothing.
                    () = self.shared.stopping.cancelled() => {}
                }
                Ok(())
            }
        }
    }

    fn next_step(&mut self) -> Step {
        let (now, slots) = (Instant::now(), &self.shared.slots);
        let ahead = match &mut self.pace {
            Some(pace) => pace.ahead(now, slots.ended(), slots.given_back()),
            None => 0,
        };
        self.plan.next(now, slots.held(), ahead)
    }

    /// The schedule of a poller that sleeps is looked at by its claims, which are few.
    fn note_sleep(&self) {
        let is_asleep = self.plan.is_asleep();
        let was_asleep = self.shared.vitals.asleep.swap(is_asleep, Ordering::Relaxed);
        if was_asleep && !is_asleep {
            self.shared.schedule_changed.notify_one();
        }
    }

    async fn pause_after(&mut self, error: &sqlx::Error) {
        let pause = self.backoff.failed(random());
        tracing::warn!(
            error = error as &dyn std::error::Error,
            pause_ms = pause.as_millis() as u64,
            "claiming failed, runner will try again"
        );
        self.shared
            .vitals
            .connected
            .store(self.session.is_connected(), Ordering::Relaxed);
        if !self.session.is_connected() {
            self.plan.woke();
        }
        // Hints do not shorten this: whoever spawns can't know that the database does not answer us.
        tokio::select! {
            // A timer loses nothing.
            () = tokio::time::sleep(pause) => {}
            // A token loses nothing.
            () = self.shared.stopping.cancelled() => {}
        }
        self.plan.failed(Instant::now(), Duration::ZERO);
    }

    async fn claim(&mut self, max_jobs: usize) -> Result<(), sqlx::Error> {
        if self.plan.watches_in_flight() {
            self.look_after_in_flight().await?;
        }
        let found = self.claim_some(max_jobs).await?;
        if std::mem::take(&mut self.is_hinted) && found.jobs == 0 {
            // The hint may have been about a job that is due in a moment.
            self.shared.schedule_changed.notify_one();
        }
        let now = Instant::now();
        let can_sleep = self.shared.settings.listen && self.shared.vitals.is_listening();
        let poll_interval = give_or_take_a_tenth(self.shared.settings.poll_interval, random());
        self.plan.claimed(now, found, can_sleep, poll_interval);
        if found.jobs > 0 && self.plan.is_asleep() {
            self.awaken().await?;
        }
        Ok(())
    }

    /// Claims up to `max_jobs` jobs, and starts those whose payloads come with the claim.
    async fn claim_some(&mut self, max_jobs: usize) -> Result<Found, sqlx::Error> {
        let lease = self
            .shared
            .incarnation()
            .filter(|current| current.is_fresh(Instant::now()));
        let claimed = match &lease {
            Some(lease) => self.claim_under(lease, max_jobs).await?,
            // Without a lease, look first: an idle runner needs none.
            None => None,
        };
        let claimed = match claimed {
            Some(claimed) => claimed,
            None if lease.is_none() && !self.is_something_ready(max_jobs).await? => {
                return Ok(Found { jobs: 0, more: false });
            }
            None => {
                let lease = self.shared.fresh_lease(lease.map(|refused| refused.id)).await?;
                match self.claim_under(&lease, max_jobs).await? {
                    Some(claimed) => claimed,
                    // Over again within a moment: the next round starts anew.
                    None => return Ok(Found { jobs: 0, more: true }),
                }
            }
        };
        let (found, unstarted, payloads) = claimed;
        self.unfetched = Unfetched::after(unstarted, payloads, &self.undelivered);
        if found.jobs > 0 {
            // The jobs before whatever comes next here: they are behind us on this thread, where no other finds them.
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn is_something_ready(&mut self, max_jobs: usize) -> Result<bool, sqlx::Error> {
        Ok(self.send_claim(NO_LEASE, 0, max_jobs).await?.expired)
    }

    /// `None`: the lease is over.
    async fn claim_under(
        &mut self,
        lease: &Arc<Incarnation>,
        max_jobs: usize,
    ) -> Result<Option<(Found, Unstarted, Vec<Payload>)>, sqlx::Error> {
        let in_flight = ClaimInFlight::begin(lease);
        let mut answer = self.send_claim(lease.id, in_flight.number(), max_jobs).await?;
        if answer.expired {
            return Ok(None);
        }
        let in_a_row = InARow::first(Instant::now());
        let jobs = answer
            .ids
            .iter()
            .zip(&answer.attempts)
            .map(|(id, attempt)| ClaimedJob {
                id: *id,
                attempt: *attempt,
                in_a_row,
            });
        let Some(unstarted) = in_flight.answered(&self.shared, jobs) else {
            let found = Found { jobs: 0, more: true };
            return Ok(Some((found, Unstarted::none(&self.shared), Vec::new())));
        };
        #[cfg(feature = "testing")]
        {
            self.last_claimed = unstarted.last();
        }
        let found = Found {
            jobs: answer.ids.len(),
            more: answer.more,
        };
        Ok(Some((found, unstarted, answer.take_payloads())))
    }

    async fn send_claim(
        &mut self,
        runner: Uuid,
        claim: i64,
        max_jobs: usize,
    ) -> Result<Claimed, sqlx::Error> {
        let max_jobs = max_jobs.min(CLAIM_AT_MOST);
        let mut connection = self.take().await?;
        let started = Instant::now();
        // Not when somebody has just woken us for a job: a sweep takes longer, and the claims that follow will do.
        let sweep = !self.is_hinted && self.sweep_at.is_none_or(|at| at <= started);
        let arguments = store::Claim {
            runner,
            claim,
            max_jobs,
            max_bytes: self.shared.settings.max_claim_bytes,
            name_keys: self.shared.name_keys.as_deref(),
            channel_name_keys: self.shared.channel_name_keys.as_deref(),
            after_channel: self.after_channel,
            sweep,
            own_lease: self.shared.own_lease(),
            asleep: self.plan.is_asleep(),
        };
        let answer = within(STATEMENT_DEADLINE, store::claim(&mut connection, &arguments)).await;
        let answer = self.session.settle(connection, answer)?;
        self.shared.vitals.claimed();
        if answer.due == Some(true) {
            self.shared.schedule_changed.notify_one();
        }
        // A claim that was refused has not swept: the one that follows must.
        if sweep && !answer.expired {
            // A sweep walks over what a mark hides. It may take a tenth of our time.
            let pause = started.elapsed().saturating_mul(10).max(SWEEP_AT_MOST_EVERY);
            self.sweep_at = Some(Instant::now() + pause);
        }
        if let Some(after_channel) = answer.after_channel.filter(|_| runner != NO_LEASE) {
            self.after_channel = after_channel;
        }
        Ok(answer)
    }

    /// The connection. A new one has forgotten that the runner sleeps, and what it has seen.
    pub(super) async fn take(&mut self) -> Result<PgConnection, sqlx::Error> {
        let connection = self.session.take().await?;
        if self.session.generation() != self.known_generation {
            self.known_generation = self.session.generation();
            self.plan.woke();
            self.sweep_at = None;
        }
        Ok(connection)
    }

    /// Claims one job, for `test_one`.
    pub(crate) async fn claim_one(&mut self) -> Result<Found, sqlx::Error> {
        let mut connection = self.take().await?;
        // What was spawned under another isolation level becomes ready this way.
        let answer = within(STATEMENT_DEADLINE, store::promote(&mut connection, 1000)).await;
        self.session.settle(connection, answer)?;
        for _ in 0..100 {
            let found = self.claim_some(1).await?;
            if let Some(jobs) = self.unfetched.take() {
                jobs.fetch(&mut self.session, &self.undelivered).await?;
            }
            if found.jobs > 0 || !found.more {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Found { jobs: 0, more: true })
    }

    pub(crate) fn buckets(&self) -> &[i32] {
        &self.buckets
    }

    pub(crate) async fn close(&mut self) {
        self.session.close().await;
    }
}
