//! The protocol as a state machine: which steps there are, and what each does.

use stateright::{Model, Property};

use crate::action::Action;
use crate::canonical::canonical;
use crate::config::Config;
use crate::mechanism::Mechanism;
use crate::properties::properties;
use crate::state::{CLAIMS, Held, LEASES, MAX_JOBS, NAMES, Process, Runner, SLOTS, Stage, State};

/// The protocol in one configuration, without some of its mechanisms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) config: Config,
    pub(crate) without: &'static [Mechanism],
}

impl Protocol {
    pub(crate) fn has(&self, mechanism: Mechanism) -> bool {
        !self.without.contains(&mechanism)
    }

    pub(crate) fn init(&self) -> State {
        let config = &self.config;
        let mut state = State {
            faults_left: config.faults,
            ..State::default()
        };
        for runner in 0..config.runners {
            state.leases[runner][0].row = true;
            state.runners[runner] = Runner {
                process: Process::Awake,
                current: Some(0),
                ..Runner::default()
            };
        }
        if !config.spawns {
            for job in 0..config.jobs {
                state.jobs[job].before = (1 << job) - 1;
                state.jobs[job].number = job as u8 + 1;
                state.jobs[job].gives_turn = true;
                self.store(&mut state, job);
            }
        }
        state
    }

    /// The step, if it is possible.
    pub(crate) fn step(&self, state: &State, action: Action) -> Option<State> {
        use Action::*;
        let i = usize::from;
        let mut next = *state;
        let s = &mut next;
        match action {
            BeginSpawn { job } => self.begin_spawn(s, i(job)),
            CommitSpawn { job } => self.commit_spawn(s, i(job)),
            SendCommit { job } => self.send_commit(s, i(job)),
            CommitArrives { job } => self.commit_arrives(s, i(job)),
            IntervalOver { job } => self.interval_over(s, i(job)),
            ExpiryPicks { job } => self.expiry_picks(s, i(job)),
            Expire { job } => self.expire(s, i(job)),
            Promote { job } => self.promote(s, i(job)),
            Requeue { job } => self.requeue(s, i(job)),
            Discard { job } => self.discard(s, i(job)),

            BeginCancel { job } => self.begin_cancel(s, i(job)),
            CancelLooks => self.cancel_looks(s),
            CancelCommits => self.cancel_commits(s),
            CancelRollsBack => self.cancel_rolls_back(s),

            Register { runner } => self.register(s, i(runner)),
            Renew { runner } => self.renew(s, i(runner)),
            RenewLater { runner } => self.renew_later(s, i(runner)),
            RenewalArrives { runner } => self.renewal_arrives(s, i(runner)),
            SendAudit { runner } => self.send_audit(s, i(runner)),
            AuditArrives { runner } => self.audit_arrives(s, i(runner)),
            ClearUp { runner, lease } => self.clear_up(s, i(runner), lease),
            LocalDeadline { runner } => self.local_deadline(s, i(runner)),
            LeaseOver { runner, lease } => self.lease_over(s, i(runner), lease),
            Silence { runner, lease } => self.silence(s, i(runner), lease),
            Reap { runner, lease } => self.reap(s, i(runner), lease),
            OwnLeaseOver { job } => self.own_lease_over(s, i(job)),

            SendClaim { runner } => self.send_claim(s, i(runner)),
            ClaimSnaps { runner, claim } => self.claim_snaps(s, i(runner), i(claim)),
            ClaimTakes { runner, claim, job } => self.claim_takes(s, i(runner), i(claim), job),
            ClaimPicks { runner, claim, turn } => self.claim_picks(s, i(runner), i(claim), turn),
            ClaimLooks { runner, claim } => self.claim_looks(s, i(runner), i(claim)),
            ClaimStarts { runner, claim } => self.claim_starts(s, i(runner), i(claim)),
            ClaimFindsNothing { runner, claim } => self.claim_finds_nothing(s, i(runner), i(claim)),
            ClaimCommits { runner, claim } => self.claim_commits(s, i(runner), i(claim)),
            ClaimAnswered { runner, claim } => self.claim_answered(s, i(runner), i(claim)),
            ClaimGivenUp { runner, claim } => self.claim_given_up(s, i(runner), i(claim)),

            Complete { runner, slot } => self.complete(s, i(runner), i(slot)),
            CompleteArrives { runner, slot } => self.complete_arrives(s, i(runner), i(slot)),
            CompletionClaims { runner, slot } => self.completion_claims(s, i(runner), i(slot)),
            Commit { runner, slot } => self.commit(s, i(runner), i(slot)),
            CommitUnanswered { runner, slot } => self.commit_unanswered(s, i(runner), i(slot)),
            Abort { runner, slot } => self.abort(s, i(runner), i(slot)),
            Resolve { runner, slot } => self.resolve(s, i(runner), i(slot)),
            Fail { runner, slot } => self.fail(s, i(runner), i(slot)),
            Checkpoint { runner, slot } => self.checkpoint(s, i(runner), i(slot)),
            GiveBack { runner, slot } => self.give_back(s, i(runner), i(slot)),
            OutcomeArrives { runner, slot } => self.outcome_arrives(s, i(runner), i(slot)),
            OutcomeUnanswered { runner, slot } => self.outcome_unanswered(s, i(runner), i(slot)),

            Crash {
                runner,
                statements_go_on,
            } => self.crash(s, i(runner), statements_go_on),
            Start { runner } => self.start(s, i(runner)),
            Pause { runner } => self.pause(s, i(runner)),
            Resume { runner } => self.resume(s, i(runner)),
            Stop { runner } => self.stop(s, i(runner)),
            Unregister { runner } => self.unregister(s, i(runner)),
            DatabaseCrash { kept } => self.database_crash(s, i(kept)),
            ClockJump => self.clock_jump(s),
        }?;
        Some(canonical(&self.config, next))
    }

    /// All steps that might be possible; [`step`](Self::step) refuses those that are not.
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Action>) {
        let config = &self.config;
        for job in 0..config.jobs as u8 {
            self.job_steps(state, job, steps);
        }
        if state.cancellation.is_some() {
            steps.extend([
                Action::CancelLooks,
                Action::CancelCommits,
                Action::CancelRollsBack,
            ]);
        }
        for runner in 0..config.runners as u8 {
            self.runner_steps(state, runner, steps);
        }
        if config.which.database_crashes {
            steps.extend((0..=MAX_JOBS as u8).map(|kept| Action::DatabaseCrash { kept }));
        }
        if config.which.clock_jumps {
            steps.push(Action::ClockJump);
        }
    }

    fn job_steps(&self, state: &State, job: u8, steps: &mut Vec<Action>) {
        use Action::*;
        let row = &state.jobs[job as usize];
        match row.stage {
            Stage::Unspawned => steps.push(BeginSpawn { job }),
            Stage::Spawning => steps.push(CommitSpawn { job }),
            Stage::Stored | Stage::Ended(_) => {}
        }
        if row.held != Held::No || row.commit_sent || row.expiry_picked {
            steps.extend([
                SendCommit { job },
                CommitArrives { job },
                IntervalOver { job },
                ExpiryPicks { job },
                Expire { job },
            ]);
        }
        if row.scheduled {
            steps.push(Promote { job });
        }
        if row.dead && self.config.operators {
            steps.extend([Requeue { job }, Discard { job }]);
        }
        if self.config.cancels && row.stage == Stage::Stored {
            steps.push(BeginCancel { job });
        }
        if self.config.which.own_leases && row.is_running() {
            steps.push(OwnLeaseOver { job });
        }
    }

    fn runner_steps(&self, state: &State, runner: u8, steps: &mut Vec<Action>) {
        use Action::*;
        let memory = &state.runners[runner as usize];
        if memory.process == Process::Down {
            steps.push(Start { runner });
        } else {
            if memory.current.is_none() {
                steps.push(Register { runner });
            } else {
                steps.extend([
                    Renew { runner },
                    SendAudit { runner },
                    LocalDeadline { runner },
                    SendClaim { runner },
                    RenewLater { runner },
                ]);
            }
            steps.extend([
                Pause { runner },
                Resume { runner },
                Stop { runner },
                Unregister { runner },
            ]);
            for statements_go_on in [false, true] {
                steps.push(Crash {
                    runner,
                    statements_go_on,
                });
            }
        }
        if memory.renewal.is_some() {
            steps.push(RenewalArrives { runner });
        }
        if memory.audit.is_some() {
            steps.push(AuditArrives { runner });
        }
        for lease in 0..LEASES as u8 {
            if state.leases[runner as usize][lease as usize].row {
                steps.extend([
                    ClearUp { runner, lease },
                    LeaseOver { runner, lease },
                    Silence { runner, lease },
                    Reap { runner, lease },
                ]);
            }
        }
        for claim in 0..CLAIMS as u8 {
            if memory.claims[claim as usize].is_some() {
                steps.extend([
                    ClaimAnswered { runner, claim },
                    ClaimCommits { runner, claim },
                    ClaimStarts { runner, claim },
                    ClaimLooks { runner, claim },
                    ClaimSnaps { runner, claim },
                ]);
                if self.config.ordered {
                    steps.extend((0..NAMES as u8).map(|turn| ClaimPicks { runner, claim, turn }));
                } else {
                    steps.extend((0..self.config.jobs as u8).map(|job| ClaimTakes { runner, claim, job }));
                }
                steps.extend([
                    ClaimFindsNothing { runner, claim },
                    ClaimGivenUp { runner, claim },
                ]);
            }
        }
        for slot in 0..SLOTS as u8 {
            if memory.attempts[slot as usize].is_some() {
                steps.extend([
                    Complete { runner, slot },
                    CompleteArrives { runner, slot },
                    CompletionClaims { runner, slot },
                    Commit { runner, slot },
                    CommitUnanswered { runner, slot },
                    Abort { runner, slot },
                    Resolve { runner, slot },
                    Fail { runner, slot },
                    Checkpoint { runner, slot },
                    GiveBack { runner, slot },
                    OutcomeArrives { runner, slot },
                    OutcomeUnanswered { runner, slot },
                ]);
            }
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![canonical(&self.config, self.init())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.steps(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.step(state, action).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }
}
