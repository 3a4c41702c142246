//! Spawners, committers and operators, and what time alone changes: everything but runners.

use crate::mechanism::Mechanism;
use crate::protocol::Protocol;
use crate::state::{End, Held, Stage, State, Table};

impl Protocol {
    /// The spawn call: the number is drawn, the transaction stays open.
    pub(crate) fn begin_spawn(&self, s: &mut State, job: usize) -> Option<()> {
        let is_next = s.jobs[job].stage == Stage::Unspawned
            && s.jobs[..job]
                .iter()
                .all(|before| before.stage != Stage::Unspawned);
        is_next.then_some(())?;
        let committed = (0..self.config.jobs)
            .filter(|other| matches!(s.jobs[*other].stage, Stage::Stored | Stage::Ended(_)));
        s.jobs[job].before = committed.fold(0, |bits, other| bits | 1 << other);
        s.jobs[job].number = s.jobs.iter().map(|row| row.number).max().unwrap_or(0) + 1;
        s.jobs[job].gives_turn = self.has(Mechanism::SpawnGivesTurn) || self.first_in_line(s, None).is_none();
        s.jobs[job].stage = Stage::Spawning;
        Some(())
    }

    pub(crate) fn commit_spawn(&self, s: &mut State, job: usize) -> Option<()> {
        (s.jobs[job].stage == Stage::Spawning).then_some(())?;
        s.flush();
        self.store(s, job);
        Some(())
    }

    pub(crate) fn send_commit(&self, s: &mut State, job: usize) -> Option<()> {
        let row = &mut s.jobs[job];
        (row.held == Held::Yes && !row.commit_sent).then_some(())?;
        row.commit_sent = true;
        Some(())
    }

    /// `mq_commit`.
    pub(crate) fn commit_arrives(&self, s: &mut State, job: usize) -> Option<()> {
        (s.jobs[job].commit_sent && !s.is_cancelling(job, Table::Held)).then_some(())?;
        s.jobs[job].commit_sent = false;
        let is_committed = match s.jobs[job].held {
            Held::No => false,
            Held::Yes => true,
            Held::Over => !self.has(Mechanism::HeldIsRechecked),
        };
        if is_committed {
            s.flush();
            s.jobs[job].held = Held::No;
            s.jobs[job].said_committed = true;
            self.make_ready(s, job);
        }
        Some(())
    }

    pub(crate) fn interval_over(&self, s: &mut State, job: usize) -> Option<()> {
        (s.jobs[job].held == Held::Yes).then_some(())?;
        s.jobs[job].held = Held::Over;
        Some(())
    }

    /// Without the re-check: what an expiry has seen, it deletes later.
    pub(crate) fn expiry_picks(&self, s: &mut State, job: usize) -> Option<()> {
        let may = !self.has(Mechanism::HeldIsRechecked) && s.jobs[job].held == Held::Over;
        may.then_some(())?;
        s.jobs[job].expiry_picked = true;
        Some(())
    }

    /// The second half of `mq_promote`.
    pub(crate) fn expire(&self, s: &mut State, job: usize) -> Option<()> {
        let row = &s.jobs[job];
        let may = if self.has(Mechanism::HeldIsRechecked) {
            row.held == Held::Over && !s.is_cancelling(job, Table::Held)
        } else {
            row.expiry_picked && row.stage == Stage::Stored
        };
        may.then_some(())?;
        s.flush();
        s.jobs[job].held = Held::No;
        s.jobs[job].expiry_picked = false;
        // Where there is no re-check, wherever it is by now.
        s.jobs[job].ready = false;
        s.jobs[job].running = [None; 2];
        let next = self.next_name(s, job);
        self.leave_line(s, job, next);
        self.forget(s, job, End::Expired);
        Some(())
    }

    /// The first half of `mq_promote`.
    pub(crate) fn promote(&self, s: &mut State, job: usize) -> Option<()> {
        (s.jobs[job].scheduled && !s.is_cancelling(job, Table::Scheduled)).then_some(())?;
        s.flush();
        s.jobs[job].scheduled = false;
        self.make_ready(s, job);
        Some(())
    }

    pub(crate) fn requeue(&self, s: &mut State, job: usize) -> Option<()> {
        (s.jobs[job].dead && !s.is_cancelling(job, Table::Dead)).then_some(())?;
        s.flush();
        s.jobs[job].dead = false;
        s.jobs[job].attempts = 0;
        s.jobs[job].started = 0;
        s.jobs[job].line = self.config.ordered;
        self.make_ready(s, job);
        Some(())
    }

    pub(crate) fn discard(&self, s: &mut State, job: usize) -> Option<()> {
        (s.jobs[job].dead && !s.is_cancelling(job, Table::Dead)).then_some(())?;
        s.flush();
        s.jobs[job].dead = false;
        self.forget(s, job, End::Discarded);
        Some(())
    }
}
