//! Where jobs wait: ready rows, and for ordered jobs the line and its turns.

use crate::mechanism::Mechanism;
use crate::protocol::Protocol;
use crate::state::{AttemptStage, End, Held, Job, MANY_TURNS, Running, Stage, State, Table, Token};

impl Protocol {
    /// The rows that `mq_spawn_all` writes, committed.
    pub(crate) fn store(&self, s: &mut State, job: usize) {
        let row = &mut s.jobs[job];
        row.stage = Stage::Stored;
        row.line = self.config.ordered;
        let gives_turn = row.gives_turn;
        if self.config.is_held(job) {
            row.held = Held::Yes;
        } else if !self.config.ordered {
            row.ready = true;
        } else if gives_turn {
            self.give_turn(s, self.config.name_of(job));
        }
    }

    /// `mq_make_ready`.
    pub(crate) fn make_ready(&self, s: &mut State, job: usize) {
        if self.config.ordered {
            let own = self.config.name_of(job);
            self.give_turn(s, own);
            let head = self.next_name(s, usize::MAX).filter(|name| *name != own);
            if let Some(name) = head.filter(|_| self.has(Mechanism::RetryGivesHeadTurn)) {
                self.give_turn(s, name);
            }
        } else {
            s.jobs[job].ready = true;
        }
    }

    pub(crate) fn give_turn(&self, s: &mut State, name: u8) {
        let turns = &mut s.turns[name as usize];
        *turns = (*turns + 1).min(MANY_TURNS);
    }

    pub(crate) fn drop_turn(&self, s: &mut State, name: u8) {
        s.turns[name as usize] = s.turns[name as usize].saturating_sub(1);
    }

    /// The lowest number of the line that is visible, without one job that this transaction has taken out.
    pub(crate) fn first_in_line(&self, s: &State, without: Option<usize>) -> Option<usize> {
        (0..self.config.jobs)
            .filter(|job| s.jobs[*job].line && Some(*job) != without)
            .filter(|job| self.has(Mechanism::HeadHoldsBack) || s.jobs[*job].is_due())
            .min_by_key(|job| s.jobs[*job].number)
    }

    /// The name of who is next when this job leaves the line.
    pub(crate) fn next_name(&self, s: &State, leaving: usize) -> Option<u8> {
        self.first_in_line(s, Some(leaving))
            .map(|next| self.config.name_of(next))
    }

    /// `mq_leave_line`: a turn under the name of who leaves, and one under that of who was next when it looked.
    pub(crate) fn leave_line(&self, s: &mut State, job: usize, next: Option<u8>) {
        if !s.jobs[job].line {
            return;
        }
        s.jobs[job].line = false;
        if self.has(Mechanism::EndGivesTurn) {
            let own = self.config.name_of(job);
            self.give_turn(s, own);
            if let Some(name) = next.filter(|name| *name != own) {
                self.give_turn(s, name);
            }
        }
    }

    /// `mq_end_attempts`, for one attempt whose fence is held.
    pub(crate) fn end_attempt(&self, s: &mut State, job: usize, row: Running, at_once: bool) {
        s.jobs[job].remove_row(row.token);
        s.jobs[job].attempts = row.attempt;
        if row.attempt >= self.config.max_attempts {
            s.jobs[job].dead = true;
            s.jobs[job].has_ended = true;
            let next = self.next_name(s, job);
            self.leave_line(s, job, next);
        } else if at_once {
            self.make_ready(s, job);
        } else {
            s.jobs[job].scheduled = true;
        }
    }

    /// `mq_release`, for one attempt whose fence is held.
    pub(crate) fn release(&self, s: &mut State, job: usize, row: Running) {
        s.jobs[job].remove_row(row.token);
        s.jobs[job].attempts = row.attempt - 1;
        s.jobs[job].started &= !(1 << row.attempt);
        self.make_ready(s, job);
    }

    /// `mq_forget`: the job row goes. Its state row must have gone already.
    pub(crate) fn forget(&self, s: &mut State, job: usize, end: End) {
        s.jobs[job].stage = Stage::Ended(end);
        s.jobs[job].has_ended = true;
    }

    /// Whether an open transaction has locked this running row to end it.
    pub(crate) fn is_ending(&self, s: &State, job: usize, token: Token) -> bool {
        s.is_cancelling(job, Table::Running)
            || self.has(Mechanism::FenceIsLocked)
                && s.attempts().any(|(_, attempt)| {
                    attempt.job as usize == job
                        && attempt.token == token
                        && matches!(attempt.stage, AttemptStage::Open { .. })
                })
    }

    /// The running row that a statement with this token acts on. `by_token`: whether it names the token at all.
    pub(crate) fn fenced(&self, row: &Job, token: Token, by_token: bool) -> Option<Running> {
        if !by_token {
            return row.running[0];
        }
        if self.has(Mechanism::TokenHasClaim) {
            return row.row(token);
        }
        let same_runner = |row: &&Running| row.token.runner == token.runner && row.token.lease == token.lease;
        row.running.iter().flatten().find(same_runner).copied()
    }
}

impl Job {
    /// Neither scheduled nor held.
    pub(crate) fn is_due(&self) -> bool {
        !self.scheduled && self.held == Held::No
    }
}
