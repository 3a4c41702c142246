//! `mq_claim_next_in_line`: what a completion claims in its own transaction.

use crate::protocol::Protocol;
use crate::state::{Attempt, AttemptStage, Claim, ClaimStage, Process, State, Token};

impl Protocol {
    /// In the transaction of an open completion. It does not look whether something of the channel runs: its own
    /// job does, for everybody else.
    pub(crate) fn completion_claims(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = s.runners[runner].attempts[slot]?;
        let memory = &s.runners[runner];
        let may = self.config.ordered
            && matches!(attempt.stage, AttemptStage::Open { .. })
            && memory.process == Process::Awake
            && memory.current == Some(attempt.token.lease)
            && self.claim_beside(s, runner, &attempt).is_none();
        may.then_some(())?;
        let next = self.first_in_line(s, Some(attempt.job as usize))?;
        let is_locked = s.cancellation.is_some_and(|c| c.job as usize == next && c.found);
        let claim = Claim {
            lease: attempt.token.lease,
            number: memory.next_claim,
            stage: ClaimStage::Beside {
                job: next as u8,
                behind: attempt.job,
            },
            awaited: true,
        };
        let may = self.holds_lease(s, runner, &claim)
            && self.config.knows(runner, self.config.name_of(next))
            && s.jobs[next].is_due()
            && !is_locked
            && !s.is_next(next);
        may.then_some(())?;
        let memory = &mut s.runners[runner];
        *memory.claims.iter_mut().find(|claim| claim.is_none())? = Some(claim);
        memory.next_claim += 1;
        Some(())
    }

    /// What this open completion has claimed.
    pub(crate) fn claim_beside(&self, s: &State, runner: usize, attempt: &Attempt) -> Option<usize> {
        s.runners[runner].claims.iter().position(|claim| {
            claim.is_some_and(|claim| {
                claim.lease == attempt.token.lease
                    && matches!(claim.stage, ClaimStage::Beside { behind, .. } if behind == attempt.job)
            })
        })
    }

    /// The completion has committed, and its claim with it.
    pub(crate) fn commit_beside(&self, s: &mut State, runner: usize, claim: usize, is_answered: bool) {
        let Some(beside) = self.claim(s, runner, claim) else {
            return;
        };
        let ClaimStage::Beside { job, .. } = beside.stage else {
            return;
        };
        let token = Token {
            runner: runner as u8,
            lease: beside.lease,
            claim: beside.number,
        };
        let attempt = s.jobs[job as usize].attempts + 1;
        let is_started = self.start_row(s, job, token).is_some();
        if is_answered && is_started {
            self.set_stage(s, runner, claim, ClaimStage::Answered { job, attempt });
        } else {
            self.end_claim(s, runner, claim);
        }
    }

    pub(crate) fn drop_beside(&self, s: &mut State, runner: usize, attempt: &Attempt) {
        if let Some(claim) = self.claim_beside(s, runner, attempt) {
            self.end_claim(s, runner, claim);
        }
    }
}
