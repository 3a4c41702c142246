//! A claim that was sent, until its answer is in: by the poller, or by the completer for the next in line.

use std::sync::Arc;

use uuid::Uuid;

use super::attempt::Attempt;
use super::in_a_row::InARow;
use super::incarnation::Incarnation;
use super::shared::{LeaseRequest, Shared};
use super::unstarted::Unstarted;

/// A claim in flight. Whatever happens, it does not stay so for ever.
pub(super) struct ClaimInFlight {
    lease: Arc<Incarnation>,
    number: i64,
    is_answered: bool,
}

/// A job that a claim was answered with.
pub(super) struct ClaimedJob {
    pub(super) id: Uuid,
    pub(super) attempt: i32,
    pub(super) in_a_row: InARow,
}

impl ClaimInFlight {
    pub(super) fn begin(lease: &Arc<Incarnation>) -> Self {
        Self {
            lease: Arc::clone(lease),
            number: lease.begin_claim(),
            is_answered: false,
        }
    }

    /// One that is made beside those of the poller.
    pub(super) fn beside(lease: &Arc<Incarnation>) -> Self {
        Self {
            lease: Arc::clone(lease),
            number: lease.begin_claim_beside(),
            is_answered: false,
        }
    }

    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Takes what was claimed into this runner's hands. `None`: the lease ended while the answer was on its way, and the jobs are not
    /// ours to run.
    pub(super) fn answered(
        mut self,
        shared: &Arc<Shared>,
        jobs: impl Iterator<Item = ClaimedJob>,
    ) -> Option<Unstarted> {
        let attempts: Vec<Arc<Attempt>> = jobs
            .map(|job| Arc::new(Attempt::claimed(&job, self.number, Arc::clone(&self.lease))))
            .collect();
        let mut unstarted = Unstarted::none(shared);
        for attempt in &attempts {
            unstarted.add(Arc::clone(attempt), shared.slots.take());
        }
        self.is_answered = true;
        if !self.lease.end_claim(self.number, &attempts) {
            return None;
        }
        if !attempts.is_empty() {
            // Only an error if the keeper has ended, which the supervisor sees.
            let _ = shared.lease_requests.send(LeaseRequest::Needed);
        }
        Some(unstarted)
    }
}

impl Drop for ClaimInFlight {
    fn drop(&mut self) {
        if !self.is_answered {
            self.lease.end_claim(self.number, &[]);
        }
    }
}
