//! Faults: processes that crash, stand still or stop, a database that crashes, a clock that jumps.

use crate::protocol::Protocol;
use crate::state::{AttemptStage, ClaimStage, MAX_JOBS, Process, Stage, State};

impl Protocol {
    /// Counts one fault. `None`: there have been enough.
    pub(crate) fn fault(&self, s: &mut State) -> Option<()> {
        s.faults_left = s.faults_left.checked_sub(1)?;
        Some(())
    }

    /// A process ends. Transactions that wait for it are rolled back; single statements on their way may still be carried out.
    pub(crate) fn crash(&self, s: &mut State, runner: usize, statements_go_on: bool) -> Option<()> {
        self.config.which.crashes.then_some(())?;
        self.fault(s)?;
        let memory = &mut s.runners[runner];
        memory.process = Process::Down;
        memory.current = None;
        memory.is_over = false;
        memory.next_claim = 0;
        memory.renewal = None;
        memory.audit = None;
        for claim in &mut memory.claims {
            let goes_on = statements_go_on
                && claim.is_some_and(|c| {
                    !matches!(c.stage, ClaimStage::Answered { .. } | ClaimStage::Beside { .. })
                });
            if let Some(claim) = claim {
                claim.awaited = false;
            }
            if !goes_on {
                *claim = None;
            }
        }
        for slot in &mut memory.attempts {
            let goes_on = statements_go_on
                && slot.is_some_and(|attempt| {
                    matches!(
                        attempt.stage,
                        AttemptStage::FailSent | AttemptStage::ReleaseSent | AttemptStage::CheckpointSent
                    )
                });
            if let Some(attempt) = slot {
                attempt.told = true;
            }
            if !goes_on {
                *slot = None;
            }
        }
        Some(())
    }

    pub(crate) fn start(&self, s: &mut State, runner: usize) -> Option<()> {
        (s.runners[runner].process == Process::Down).then_some(())?;
        s.runners[runner].process = Process::Awake;
        Some(())
    }

    pub(crate) fn pause(&self, s: &mut State, runner: usize) -> Option<()> {
        (self.config.which.pauses && s.runners[runner].process == Process::Awake).then_some(())?;
        self.fault(s)?;
        s.runners[runner].process = Process::Paused;
        Some(())
    }

    /// The first thing it sees is its clock.
    pub(crate) fn resume(&self, s: &mut State, runner: usize) -> Option<()> {
        (s.runners[runner].process == Process::Paused).then_some(())?;
        s.runners[runner].process = Process::Awake;
        if s.runners[runner].is_over && self.has(crate::mechanism::Mechanism::LocalDeadline) {
            self.end_incarnation(s, runner);
        }
        Some(())
    }

    pub(crate) fn stop(&self, s: &mut State, runner: usize) -> Option<()> {
        (self.config.which.stops && s.runners[runner].process == Process::Awake).then_some(())?;
        self.fault(s)?;
        s.runners[runner].process = Process::Stopping;
        Some(())
    }

    /// All open transactions are rolled back, all connections broken, and of the claims that were committed asynchronously the
    /// latest forgotten.
    pub(crate) fn database_crash(&self, s: &mut State, kept: usize) -> Option<()> {
        let unflushed = s.unflushed.iter().flatten().count();
        (self.config.which.database_crashes && kept <= unflushed).then_some(())?;
        self.fault(s)?;
        for claim in s.unflushed.into_iter().flatten().skip(kept) {
            let job = claim.job as usize;
            s.jobs[job].remove_row(claim.token);
            match claim.turn {
                Some(turn) => self.give_turn(s, turn),
                None => s.jobs[job].ready = true,
            }
            for memory in &mut s.runners {
                for attempt in memory.attempts.iter_mut().flatten() {
                    attempt.forgotten |= attempt.token == claim.token && attempt.job == claim.job;
                }
            }
        }
        s.flush();
        s.cancellation = None;
        for job in &mut s.jobs[..MAX_JOBS] {
            if job.stage == Stage::Spawning {
                job.stage = Stage::Unspawned;
                job.before = 0;
                job.gives_turn = false;
            }
            job.commit_sent = false;
        }
        for lease in s.leases.iter_mut().flatten() {
            lease.watched = false;
        }
        for memory in &mut s.runners {
            memory.renewal = None;
            memory.audit = None;
            for claim in &mut memory.claims {
                let is_answered = claim.is_some_and(|c| matches!(c.stage, ClaimStage::Answered { .. }));
                if !is_answered {
                    *claim = None;
                }
            }
            for slot in &mut memory.attempts {
                let Some(attempt) = slot else { continue };
                if matches!(
                    attempt.stage,
                    AttemptStage::CompleteSent | AttemptStage::Open { .. }
                ) {
                    attempt.stage = AttemptStage::Working;
                    if attempt.told || memory.process == Process::Down {
                        *slot = None;
                    }
                } else if memory.process == Process::Down {
                    *slot = None;
                }
            }
        }
        Some(())
    }

    /// After a failover, or a correction of the time.
    pub(crate) fn clock_jump(&self, s: &mut State) -> Option<()> {
        self.config.which.clock_jumps.then_some(())?;
        self.fault(s)?;
        for lease in s.leases.iter_mut().flatten().filter(|lease| lease.row) {
            lease.over = true;
        }
        Some(())
    }
}
