//! Liveness: from every state, when no more faults come, the runners that live finish what they can run.
//!
//! They stay busy with other work, so their leases don't end: nothing may depend on that. Processes that stand still never go
//! on. Asked only where nothing is on its way, because every other state leads to such a one by steps that are checked too.

use crate::action::Action;
use crate::protocol::Protocol;
use crate::state::{AttemptStage, Process, Stage, State};

/// More rounds than any state here needs; each finishes at least one job or one lease.
const ROUNDS: usize = 30;

impl Protocol {
    pub(crate) fn ends_in_quiet(&self, state: &State) -> bool {
        if !is_quiet(state)
            || !state
                .runners
                .iter()
                .any(|memory| memory.process == Process::Awake)
        {
            return true;
        }
        let mut s = *state;
        // For what becomes of processes that stand still.
        s.faults_left = u8::MAX;
        for _ in 0..ROUNDS {
            let before = s;
            self.settle(&mut s, is_on_its_way);
            self.settle(&mut s, is_time);
            for runner in 0..self.config.runners as u8 {
                for action in [
                    Action::Register { runner },
                    Action::Renew { runner },
                    Action::SendAudit { runner },
                    Action::AuditArrives { runner },
                ] {
                    self.try_step(&mut s, action);
                }
            }
            for runner in 0..self.config.runners as u8 {
                self.try_step(&mut s, Action::SendClaim { runner });
                self.settle(&mut s, is_on_its_way);
            }
            if self.has_ended(&s) {
                return true;
            }
            if s == before {
                return false;
            }
        }
        false
    }

    fn try_step(&self, s: &mut State, action: Action) {
        if let Some(next) = self.step(s, action) {
            *s = next;
        }
    }

    /// Takes steps of a kind until there are none.
    fn settle(&self, s: &mut State, is_wanted: fn(&State, Action) -> bool) {
        let mut steps = Vec::with_capacity(64);
        'steps: for _ in 0..200 {
            steps.clear();
            self.steps(s, &mut steps);
            for action in steps.iter().filter(|action| is_wanted(s, **action)) {
                if let Some(next) = self.step(s, *action).filter(|next| next != s) {
                    *s = next;
                    continue 'steps;
                }
            }
            return;
        }
    }

    /// Whether everything has ended that a living runner can run. A dead job waits for its operator.
    fn has_ended(&self, s: &State) -> bool {
        let can_run = |job: usize| {
            (0..self.config.runners).any(|runner| {
                s.runners[runner].process == Process::Awake
                    && self.config.knows(runner, self.config.name_of(job))
            })
        };
        let mut jobs: Vec<usize> = (0..self.config.jobs).collect();
        jobs.sort_by_key(|job| s.jobs[*job].number);
        for job in jobs {
            let row = &s.jobs[job];
            let is_open = row.stage == Stage::Stored && !row.dead;
            if is_open && can_run(job) {
                return false;
            }
            if is_open && self.config.ordered {
                // It holds the others back, as it should.
                return true;
            }
        }
        true
    }
}

/// Nothing is at the server or on its way to it.
fn is_quiet(s: &State) -> bool {
    s.claims().next().is_none()
        && s.attempts().all(|(runner, attempt)| {
            attempt.stage == AttemptStage::Working || s.runners[runner].process == Process::Paused
        })
        && s.cancellation.is_none()
        && s.jobs
            .iter()
            .all(|job| job.stage != Stage::Spawning && !job.commit_sent)
        && s.runners.iter().all(|memory| {
            memory.renewal.is_none() && memory.audit.is_none() && memory.process != Process::Stopping
        })
}

fn is_on_its_way(_: &State, action: Action) -> bool {
    use Action::*;
    matches!(
        action,
        CommitSpawn { .. }
            | ClaimSnaps { .. }
            | ClaimTakes { .. }
            | ClaimPicks { .. }
            | ClaimLooks { .. }
            | ClaimStarts { .. }
            | ClaimFindsNothing { .. }
            | ClaimCommits { .. }
            | ClaimAnswered { .. }
            | Complete { .. }
            | CompleteArrives { .. }
            | Commit { .. }
            | Resolve { .. }
            | OutcomeArrives { .. }
    )
}

fn is_time(s: &State, action: Action) -> bool {
    use Action::*;
    match action {
        Promote { .. } | IntervalOver { .. } | ExpiryPicks { .. } | Expire { .. } => true,
        LeaseOver { .. } | Silence { .. } | Reap { .. } => true,
        // The server ends what a process that stands still has left open.
        LocalDeadline { runner } | Abort { runner, .. } => {
            s.runners[runner as usize].process == Process::Paused
        }
        _ => false,
    }
}
