//! An attempt, from its function to its outcome: complete, fail, check-point, release, and commits without an answer.

use crate::mechanism::Mechanism;
use crate::protocol::Protocol;
use crate::state::{Attempt, AttemptStage, Broken, End, Held, Process, Runner, Stage, State};

impl Runner {
    /// Whether its code runs.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.process, Process::Awake | Process::Stopping)
    }
}

impl Protocol {
    fn attempt(&self, s: &State, runner: usize, slot: usize, stage: AttemptStage) -> Option<Attempt> {
        s.runners[runner].attempts[slot].filter(|attempt| attempt.stage == stage)
    }

    /// The same, of a process whose code runs.
    fn attempt_here(&self, s: &State, runner: usize, slot: usize, stage: AttemptStage) -> Option<Attempt> {
        s.runners[runner].is_up().then_some(())?;
        self.attempt(s, runner, slot, stage)
    }

    fn set_attempt(&self, s: &mut State, runner: usize, slot: usize, attempt: Option<Attempt>) {
        s.runners[runner].attempts[slot] = attempt;
    }

    fn go_on(&self, s: &mut State, runner: usize, slot: usize, stage: AttemptStage) {
        if let Some(attempt) = &mut s.runners[runner].attempts[slot] {
            attempt.stage = stage;
        }
    }

    /// `begin_completing` says yes, and `mq_complete` is sent.
    pub(crate) fn complete(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        self.attempt_here(s, runner, slot, AttemptStage::Working)?;
        self.go_on(s, runner, slot, AttemptStage::CompleteSent);
        Some(())
    }

    /// `mq_complete`, in a transaction that stays open.
    pub(crate) fn complete_arrives(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = self.attempt(s, runner, slot, AttemptStage::CompleteSent)?;
        let job = attempt.job as usize;
        let is_fenced = self.has(Mechanism::CompleteIsFenced);
        let held = self.fenced(&s.jobs[job], attempt.token, is_fenced);
        if held.is_some_and(|row| self.is_ending(s, job, row.token)) && self.has(Mechanism::FenceIsLocked) {
            // It waits for the lock.
            return None;
        }
        if held.is_none() && is_fenced {
            self.set_attempt(s, runner, slot, None);
            return Some(());
        }
        let next = self.next_name(s, job);
        self.go_on(s, runner, slot, AttemptStage::Open { next });
        Some(())
    }

    /// What the commit of a completion does. `None`: refused.
    fn commit_completion(
        &self,
        s: &mut State,
        runner: usize,
        attempt: Attempt,
        next: Option<u8>,
        is_answered: bool,
    ) -> Option<()> {
        let job = attempt.job as usize;
        let is_stale = s.jobs[job].row(attempt.token).is_none();
        let was_stored = s.jobs[job].stage == Stage::Stored;
        let beside = self.claim_beside(s, runner, &attempt);
        if !was_stored && self.has(Mechanism::CompleteIsFenced) {
            self.drop_beside(s, runner, &attempt);
            return None;
        }
        s.flush();
        if is_stale && was_stored {
            s.flag(Broken::StaleToken);
        }
        let row = &mut s.jobs[job];
        row.effects = (row.effects + 1).min(2);
        if !was_stored {
            return Some(());
        }
        if is_stale || !self.has(Mechanism::TokenHasClaim) {
            // Completed by its id: wherever it is.
            row.running = [None; 2];
            (row.ready, row.scheduled, row.dead, row.held) = (false, false, false, Held::No);
        }
        row.remove_row(attempt.token);
        match beside {
            // Whose end gives the next turn.
            Some(_) => s.jobs[job].line = false,
            None => self.leave_line(s, job, next),
        }
        self.forget(s, job, End::Completed);
        if let Some(claim) = beside {
            self.commit_beside(s, runner, claim, is_answered);
        }
        Some(())
    }

    pub(crate) fn commit(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = s.runners[runner].attempts[slot]?;
        let AttemptStage::Open { next } = attempt.stage else {
            return None;
        };
        s.runners[runner].is_up().then_some(())?;
        let _ = self.commit_completion(s, runner, attempt, next, true);
        self.set_attempt(s, runner, slot, None);
        Some(())
    }

    pub(crate) fn commit_unanswered(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = s.runners[runner].attempts[slot]?;
        let AttemptStage::Open { next } = attempt.stage else {
            return None;
        };
        (self.config.which.lost_answers && s.runners[runner].is_up()).then_some(())?;
        self.fault(s)?;
        let committed = self.commit_completion(s, runner, attempt, next, false).is_some();
        self.unanswered(s, runner, slot, attempt, committed);
        Some(())
    }

    /// The connection breaks before the commit arrives.
    pub(crate) fn abort(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = s.runners[runner].attempts[slot]?;
        let AttemptStage::Open { .. } = attempt.stage else {
            return None;
        };
        let may = self.config.which.lost_answers || s.runners[runner].process == Process::Paused;
        may.then_some(())?;
        self.fault(s)?;
        self.drop_beside(s, runner, &attempt);
        self.unanswered(s, runner, slot, attempt, false);
        Some(())
    }

    pub(crate) fn unanswered(
        &self,
        s: &mut State,
        runner: usize,
        slot: usize,
        attempt: Attempt,
        committed: bool,
    ) {
        if attempt.told {
            self.set_attempt(s, runner, slot, None);
        } else {
            self.go_on(s, runner, slot, AttemptStage::Unknown { committed });
        }
    }

    /// `pg_xact_status`. Not committed: the function gets an error, and fails.
    pub(crate) fn resolve(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = s.runners[runner].attempts[slot]?;
        let AttemptStage::Unknown { committed } = attempt.stage else {
            return None;
        };
        s.runners[runner].is_up().then_some(())?;
        if committed && self.has(Mechanism::UnknownIsResolved) {
            self.set_attempt(s, runner, slot, None);
            return Some(());
        }
        if committed {
            s.flag(Broken::Lied);
        }
        self.go_on(s, runner, slot, AttemptStage::FailSent);
        Some(())
    }

    pub(crate) fn fail(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        self.attempt_here(s, runner, slot, AttemptStage::Working)?;
        self.config.failures.then_some(())?;
        self.go_on(s, runner, slot, AttemptStage::FailSent);
        Some(())
    }

    pub(crate) fn checkpoint(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        self.attempt_here(s, runner, slot, AttemptStage::Working)?;
        self.config.checkpoints.then_some(())?;
        self.go_on(s, runner, slot, AttemptStage::CheckpointSent);
        Some(())
    }

    /// The end of the grace: the function is told, the job given back.
    pub(crate) fn give_back(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let mut attempt = self.attempt_here(s, runner, slot, AttemptStage::Working)?;
        (s.runners[runner].process == Process::Stopping).then_some(())?;
        attempt.stage = AttemptStage::ReleaseSent;
        attempt.told = true;
        self.set_attempt(s, runner, slot, Some(attempt));
        Some(())
    }

    /// `mq_fail`, `mq_release` or `mq_checkpoint`. `None`: somebody has the row locked. Otherwise whether it was there.
    fn store_outcome(&self, s: &mut State, attempt: Attempt) -> Option<bool> {
        let job = attempt.job as usize;
        let by_token = match attempt.stage {
            AttemptStage::FailSent => self.has(Mechanism::FailIsFenced),
            AttemptStage::CheckpointSent => self.has(Mechanism::CheckpointIsFenced),
            _ => true,
        };
        let held = self.fenced(&s.jobs[job], attempt.token, by_token);
        if held.is_some_and(|row| self.is_ending(s, job, row.token)) {
            return None;
        }
        let is_unfenced_checkpoint = !by_token && attempt.stage == AttemptStage::CheckpointSent;
        if held.is_none() && !(is_unfenced_checkpoint && s.jobs[job].stage == Stage::Stored) {
            return Some(false);
        }
        if s.jobs[job].row(attempt.token).is_none() {
            s.flag(Broken::StaleToken);
        }
        s.flush();
        match (attempt.stage, held) {
            (AttemptStage::FailSent, Some(row)) => self.end_attempt(s, job, row, false),
            (AttemptStage::ReleaseSent, Some(row)) => self.release(s, job, row),
            _ => {}
        }
        Some(true)
    }

    pub(crate) fn outcome_arrives(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        let attempt = self.outcome_sent(s, runner, slot)?;
        let was_there = self.store_outcome(s, attempt)?;
        if attempt.stage == AttemptStage::CheckpointSent && was_there && !attempt.told {
            self.go_on(s, runner, slot, AttemptStage::Working);
        } else {
            self.set_attempt(s, runner, slot, None);
        }
        Some(())
    }

    fn outcome_sent(&self, s: &State, runner: usize, slot: usize) -> Option<Attempt> {
        s.runners[runner].attempts[slot].filter(|attempt| {
            matches!(
                attempt.stage,
                AttemptStage::FailSent | AttemptStage::ReleaseSent | AttemptStage::CheckpointSent
            )
        })
    }

    /// The answer is lost, and the statement sent again; or what a commit became stays unknown, and the attempt is given up.
    pub(crate) fn outcome_unanswered(&self, s: &mut State, runner: usize, slot: usize) -> Option<()> {
        (self.config.which.lost_answers && s.runners[runner].is_up()).then_some(())?;
        let attempt = s.runners[runner].attempts[slot]?;
        if let AttemptStage::Unknown { .. } = attempt.stage {
            self.fault(s)?;
            self.set_attempt(s, runner, slot, None);
            return Some(());
        }
        let attempt = self.outcome_sent(s, runner, slot)?;
        self.fault(s)?;
        self.store_outcome(s, attempt)?.then_some(())
    }
}
