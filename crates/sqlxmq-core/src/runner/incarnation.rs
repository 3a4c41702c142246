//! One incarnation of a runner: its lease, its claims, and what it holds. Pure state, no I/O.
//!
//! The thread that renews and the tasks that claim, run and complete meet here, and only here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::attempt::{Attempt, Fate};

/// Which of the names with ready jobs a claim begins with is the remainder of its number. So a claim beside those takes as many numbers as leave
/// the remainder as it is: for up to ten names exactly, and for more the next claim begins somewhere else at least.
const NUMBERS_BESIDE: i64 = 2520;

/// One incarnation: a random id that is never used again once its lease is over.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) id: Uuid,
    lease: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The local deadline: the start of the last successful renewal plus the lease. The database's is never earlier.
    deadline: Instant,
    ended: bool,
    next_claim: i64,
    /// Claims whose answers are not in: their rows must not be taken for strays.
    claims_in_flight: BTreeSet<i64>,
    held: HashMap<(Uuid, i64), Arc<Attempt>>,
}

/// What an audit compares with the database.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) claims: Vec<i64>,
    /// Rows of this claim and later ones may be there without being held yet.
    pub(crate) before_claim: i64,
    /// What can be told that it is lost. A job that was completing is missing from the database for a good reason.
    undecided: HashMap<Uuid, Arc<Attempt>>,
}

impl Inventory {
    /// Which attempts are over, given the ids the database has no row for.
    pub(crate) fn lost<'a>(&'a self, ids: &'a [Uuid]) -> impl Iterator<Item = &'a Arc<Attempt>> {
        ids.iter()
            .filter_map(|id| self.undecided.get(id))
            .filter(|attempt| attempt.fate() == Fate::Open)
    }
}

impl Incarnation {
    /// `renewed_at`: taken before the registration was sent.
    pub(crate) fn new(id: Uuid, lease: Duration, renewed_at: Instant) -> Self {
        Self {
            id,
            lease,
            state: Mutex::new(State {
                deadline: renewed_at + lease,
                ended: false,
                next_claim: 1,
                claims_in_flight: BTreeSet::new(),
                held: HashMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock, and a half-made change is impossible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the lease is over by our own clock, for good.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state();
        state.ended || Instant::now() >= state.deadline
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.state().deadline
    }

    /// Whether enough of the lease is left to claim under it: half, so that a renewal has time to fail and be repeated.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        let state = self.state();
        !state.ended && state.deadline.saturating_duration_since(now) >= self.lease / 2
    }

    /// `started`: taken before the renewal was sent. A lease that is over stays over.
    pub(crate) fn renewed(&self, started: Instant) -> bool {
        let mut state = self.state();
        if state.ended || Instant::now() >= state.deadline {
            return false;
        }
        state.deadline = state.deadline.max(started + self.lease);
        true
    }

    /// Ends the incarnation for good and hands out what it held.
    pub(crate) fn end(&self) -> Vec<Arc<Attempt>> {
        let mut state = self.state();
        state.ended = true;
        state.held.drain().map(|(_, attempt)| attempt).collect()
    }

    /// Whether there is something that needs a lease.
    pub(crate) fn is_needed(&self) -> bool {
        let state = self.state();
        !state.ended && (!state.held.is_empty() || !state.claims_in_flight.is_empty())
    }

    /// Numbers a claim that is about to be sent.
    pub(crate) fn begin_claim(&self) -> i64 {
        self.begin_claim_of(1)
    }

    /// The same, for a claim between those by name, which begin with another name each: see [`NUMBERS_BESIDE`].
    pub(crate) fn begin_claim_beside(&self) -> i64 {
        self.begin_claim_of(NUMBERS_BESIDE)
    }

    fn begin_claim_of(&self, numbers: i64) -> i64 {
        let mut state = self.state();
        let claim = state.next_claim;
        state.next_claim += numbers;
        state.claims_in_flight.insert(claim);
        claim
    }

    /// Notes the answer: in one step, so that no audit sees the claim neither in flight nor held.
    ///
    /// False: the lease ended meanwhile, and the attempts are not held.
    pub(crate) fn end_claim(&self, claim: i64, attempts: &[Arc<Attempt>]) -> bool {
        let mut state = self.state();
        state.claims_in_flight.remove(&claim);
        if state.ended {
            return false;
        }
        for attempt in attempts {
            state
                .held
                .insert((attempt.id, attempt.claim), Arc::clone(attempt));
        }
        true
    }

    /// The attempt is decided in the database, or given up.
    pub(crate) fn forget(&self, attempt: &Attempt) {
        self.forget_all(std::iter::once(attempt));
    }

    /// The same, of many.
    pub(crate) fn forget_all<'a>(&self, attempts: impl Iterator<Item = &'a Attempt>) {
        let mut state = self.state();
        for attempt in attempts {
            state.held.remove(&(attempt.id, attempt.claim));
        }
    }

    pub(crate) fn held(&self) -> Vec<Arc<Attempt>> {
        self.state().held.values().cloned().collect()
    }

    pub(crate) fn inventory(&self) -> Inventory {
        let state = self.state();
        let (ids, claims) = state.held.keys().copied().unzip();
        Inventory {
            ids,
            claims,
            before_claim: state
                .claims_in_flight
                .first()
                .copied()
                .unwrap_or(state.next_claim),
            undecided: state
                .held
                .iter()
                .filter(|(_, attempt)| attempt.fate() == Fate::Open)
                .map(|((id, _), attempt)| (*id, Arc::clone(attempt)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::claim::ClaimedJob;
    use crate::runner::in_a_row::InARow;

    const LEASE: Duration = Duration::from_secs(30);

    fn incarnation() -> Arc<Incarnation> {
        Arc::new(Incarnation::new(Uuid::from_u128(9), LEASE, Instant::now()))
    }

    fn attempt(incarnation: &Arc<Incarnation>, id: u128, claim: i64) -> Arc<Attempt> {
        let job = ClaimedJob {
            id: Uuid::from_u128(id),
            attempt: 1,
            in_a_row: InARow::first(Instant::now()),
        };
        Arc::new(Attempt::claimed(&job, claim, Arc::clone(incarnation)))
    }

    #[test]
    fn a_claim_in_flight_hides_its_rows_from_the_audit() {
        let incarnation = incarnation();
        let first = incarnation.begin_claim();
        assert_eq!(incarnation.inventory().before_claim, first);
        let job = attempt(&incarnation, 1, first);
        assert!(incarnation.end_claim(first, std::slice::from_ref(&job)));
        let inventory = incarnation.inventory();
        assert_eq!((inventory.ids, inventory.before_claim), (vec![job.id], first + 1));
    }

    #[test]
    fn claims_by_name_begin_with_one_name_after_the_other_whatever_is_claimed_between_them() {
        let incarnation = incarnation();
        for names in 1..=10 {
            let first = incarnation.begin_claim();
            incarnation.begin_claim_beside();
            incarnation.begin_claim_beside();
            let second = incarnation.begin_claim();
            assert_eq!(second % names, (first + 1) % names, "{names} names");
        }
    }

    #[test]
    fn a_claim_whose_answer_was_lost_is_open_to_the_audit() {
        let incarnation = incarnation();
        let lost = incarnation.begin_claim();
        incarnation.end_claim(lost, &[]);
        assert!(incarnation.inventory().before_claim > lost);
        assert!(!incarnation.is_needed());
    }

    #[test]
    fn a_job_that_is_completing_is_not_told_that_it_is_lost() {
        let incarnation = incarnation();
        let claim = incarnation.begin_claim();
        let completing = attempt(&incarnation, 1, claim);
        let open = attempt(&incarnation, 2, claim);
        let later_completing = attempt(&incarnation, 3, claim);
        incarnation.end_claim(
            claim,
            &[completing.clone(), open.clone(), later_completing.clone()],
        );
        completing.begin_completing().unwrap();
        let inventory = incarnation.inventory();
        later_completing.begin_completing().unwrap();
        let lost: Vec<_> = inventory.lost(&inventory.ids).map(|attempt| attempt.id).collect();
        assert_eq!(lost, [open.id]);
    }

    #[test]
    fn a_missed_deadline_can_not_be_renewed() {
        let long_ago = Instant::now().checked_sub(LEASE).unwrap_or_else(Instant::now);
        let incarnation = Incarnation::new(Uuid::from_u128(9), LEASE, long_ago);
        assert!(incarnation.is_over());
        assert!(!incarnation.renewed(Instant::now()));
        assert!(incarnation.is_over());
    }

    #[test]
    fn an_answer_that_arrives_after_the_end_is_not_held() {
        let incarnation = incarnation();
        let claim = incarnation.begin_claim();
        assert!(incarnation.end().is_empty());
        let late = attempt(&incarnation, 1, claim);
        assert!(!incarnation.end_claim(claim, &[late]));
        assert!(incarnation.held().is_empty());
    }
}
