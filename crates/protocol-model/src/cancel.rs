//! `mq_cancel`: one statement per table, each with a fresh snapshot, until the state row is ours or the job is gone.

use crate::mechanism::Mechanism;
use crate::protocol::Protocol;
use crate::state::{Cancellation, ClaimStage, End, Held, Stage, State, Table};

impl Protocol {
    pub(crate) fn begin_cancel(&self, s: &mut State, job: usize) -> Option<()> {
        (self.config.cancels && s.cancellation.is_none() && s.jobs[job].stage == Stage::Stored)
            .then_some(())?;
        s.cancellation = Some(Cancellation {
            job: job as u8,
            at: Table::Ready,
            found: false,
            next: None,
        });
        Some(())
    }

    /// One statement.
    pub(crate) fn cancel_looks(&self, s: &mut State) -> Option<()> {
        let mut cancellation = s.cancellation.filter(|c| !c.found)?;
        let job = cancellation.job as usize;
        if cancellation.at == Table::Ready && s.jobs[job].stage != Stage::Stored {
            s.cancellation = None;
            return Some(());
        }
        if self.cancel_finds(s, job, cancellation.at)? {
            cancellation.found = true;
            cancellation.next = self.next_name(s, job);
            s.cancellation = Some(cancellation);
            return Some(());
        }
        cancellation.at = match cancellation.at {
            Table::Ready => Table::Scheduled,
            Table::Scheduled => Table::Held,
            Table::Held => Table::Running,
            Table::Running => Table::Dead,
            Table::Dead => Table::Line,
            Table::Line => {
                if !self.has(Mechanism::CancelLoops) {
                    s.flush();
                    self.forget(s, job, End::Cancelled);
                    s.cancellation = None;
                    return Some(());
                }
                Table::Ready
            }
        };
        s.cancellation = Some(cancellation);
        Some(())
    }

    /// Whether the row is there and ours. `None`: somebody else has it locked, and the statement waits.
    fn cancel_finds(&self, s: &State, job: usize, table: Table) -> Option<bool> {
        let row = &s.jobs[job];
        let is_taken = s.claims().any(
            |(_, claim)| matches!(claim.stage, ClaimStage::Taken { job: taken, .. } if taken as usize == job),
        );
        let is_next = s.is_next(job);
        match table {
            Table::Ready if row.ready && is_taken => None,
            Table::Ready => Some(row.ready),
            Table::Scheduled => Some(row.scheduled),
            Table::Held => Some(row.held != Held::No),
            Table::Running
                if row
                    .running
                    .iter()
                    .flatten()
                    .any(|r| self.is_ending(s, job, r.token)) =>
            {
                None
            }
            Table::Running => Some(row.is_running()),
            Table::Dead => Some(row.dead),
            // Skips what is locked.
            Table::Line => Some(
                row.line
                    && !row.is_running()
                    && row.is_due()
                    && !(is_taken && self.has(Mechanism::ClaimLocksHead))
                    && !(is_next && self.has(Mechanism::CompletionLocksNext)),
            ),
        }
    }

    pub(crate) fn cancel_commits(&self, s: &mut State) -> Option<()> {
        let cancellation = s.cancellation.filter(|c| c.found)?;
        let job = cancellation.job as usize;
        s.flush();
        s.cancellation = None;
        let row = &mut s.jobs[job];
        match cancellation.at {
            Table::Ready => row.ready = false,
            Table::Scheduled => row.scheduled = false,
            Table::Held => row.held = Held::No,
            Table::Running => row.running = [None; 2],
            Table::Dead => row.dead = false,
            Table::Line => {}
        }
        self.leave_line(s, job, cancellation.next);
        self.forget(s, job, End::Cancelled);
        Some(())
    }

    pub(crate) fn cancel_rolls_back(&self, s: &mut State) -> Option<()> {
        s.cancellation.take().map(drop)
    }
}
