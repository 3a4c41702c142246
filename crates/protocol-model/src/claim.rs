//! `mq_claim_by_…` and its answer.

use crate::mechanism::Mechanism;
use crate::protocol::Protocol;
use crate::state::{
    Attempt, AttemptStage, Broken, Claim, ClaimStage, MAX_JOBS, Process, Running, State, Table, Token,
    Unflushed,
};

impl Protocol {
    /// The poller: never for more than there are free slots. `mq_claim_by_…` looks before it locks anything, so a claim that would find
    /// nothing is left out.
    pub(crate) fn send_claim(&self, s: &mut State, runner: usize) -> Option<()> {
        let memory = &mut s.runners[runner];
        let used = memory.attempts.iter().flatten().count();
        let is_own = |claim: &&Claim| !matches!(claim.stage, ClaimStage::Beside { .. });
        let awaits = memory
            .claims
            .iter()
            .flatten()
            .filter(is_own)
            .any(|claim| claim.awaited);
        (memory.process == Process::Awake && !awaits && used < self.config.slots).then_some(())?;
        let lease = memory.current?;
        self.finds_something(s, runner).then_some(())?;
        let memory = &mut s.runners[runner];
        let place = memory.claims.iter_mut().find(|claim| claim.is_none())?;
        *place = Some(Claim {
            lease,
            number: memory.next_claim,
            stage: ClaimStage::Sent,
            awaited: true,
        });
        memory.next_claim += 1;
        Some(())
    }

    pub(crate) fn claim(&self, s: &State, runner: usize, claim: usize) -> Option<Claim> {
        s.runners[runner].claims[claim]
    }

    pub(crate) fn set_stage(&self, s: &mut State, runner: usize, claim: usize, stage: ClaimStage) {
        if let Some(claim) = &mut s.runners[runner].claims[claim] {
            claim.stage = stage;
        }
    }

    pub(crate) fn end_claim(&self, s: &mut State, runner: usize, claim: usize) {
        s.runners[runner].claims[claim] = None;
    }

    /// `mq_hold_lease`. The lock is `State::is_claiming`.
    pub(crate) fn holds_lease(&self, s: &State, runner: usize, claim: &Claim) -> bool {
        let lease = &s.leases[runner][claim.lease as usize];
        (!self.has(Mechanism::ClaimRefusesEndedLease) || lease.row && !lease.over)
            && (!self.has(Mechanism::ClaimRefusesLeftBehind) || claim.number >= lease.first_claim)
    }

    /// Whether an unordered job's ready row can be locked.
    fn is_free(&self, s: &State, runner: usize, job: usize) -> bool {
        let is_taken = s.claims().any(
            |(_, claim)| matches!(claim.stage, ClaimStage::Taken { job: taken, .. } if taken as usize == job),
        );
        s.jobs[job].ready
            && self.config.knows(runner, self.config.name_of(job))
            && !is_taken
            && !s.is_cancelling(job, Table::Ready)
    }

    /// Whether there is a turn under this name that can be locked, and its channel with it.
    fn is_turn_free(&self, s: &State, runner: usize, turn: u8) -> bool {
        let (mut locked, mut channel_is_locked) = (0, false);
        for (_, claim) in s.claims() {
            if let ClaimStage::Picked { turn: held, .. }
            | ClaimStage::Looked { turn: held, .. }
            | ClaimStage::Taken { turn: Some(held), .. } = claim.stage
            {
                locked += u8::from(held == turn);
                channel_is_locked = true;
            }
        }
        self.config.knows(runner, turn)
            && s.turns[turn as usize] > locked
            && !(channel_is_locked && self.has(Mechanism::ChannelIsLocked))
    }

    fn finds_something(&self, s: &State, runner: usize) -> bool {
        if self.config.ordered {
            (0..s.turns.len() as u8).any(|turn| self.is_turn_free(s, runner, turn))
        } else {
            (0..self.config.jobs).any(|job| self.is_free(s, runner, job))
        }
    }

    /// An unordered job: `mq_claim_by_name`.
    pub(crate) fn claim_takes(&self, s: &mut State, runner: usize, claim: usize, job: u8) -> Option<()> {
        let sent = self.claim(s, runner, claim)?;
        let may = sent.stage == ClaimStage::Sent
            && self.holds_lease(s, runner, &sent)
            && self.is_free(s, runner, job as usize);
        may.then_some(())?;
        self.set_stage(s, runner, claim, ClaimStage::Taken { job, turn: None });
        Some(())
    }

    /// Without a fresh look at the head: what was seen before the channel was locked.
    pub(crate) fn claim_snaps(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let sent = self.claim(s, runner, claim)?;
        let may = self.config.ordered
            && !self.has(Mechanism::HeadIsFresh)
            && sent.stage == ClaimStage::Sent
            && self.holds_lease(s, runner, &sent);
        may.then_some(())?;
        let head = self.head(s).map(|head| head as u8);
        self.set_stage(s, runner, claim, ClaimStage::Snapped { head });
        Some(())
    }

    /// `mq_hold_lease`, then a turn is locked, then its channel.
    pub(crate) fn claim_picks(&self, s: &mut State, runner: usize, claim: usize, turn: u8) -> Option<()> {
        let sent = self.claim(s, runner, claim)?;
        let head = match sent.stage {
            ClaimStage::Sent if self.has(Mechanism::HeadIsFresh) => None,
            ClaimStage::Snapped { head } => head,
            _ => return None,
        };
        (self.holds_lease(s, runner, &sent) && self.is_turn_free(s, runner, turn)).then_some(())?;
        self.set_stage(s, runner, claim, ClaimStage::Picked { turn, head });
        Some(())
    }

    /// The head of the channel, unless one of its jobs runs.
    fn head(&self, s: &State) -> Option<usize> {
        if s.jobs.iter().any(|job| job.is_running()) {
            return None;
        }
        self.first_in_line(s, None)
    }

    /// The second statement of `mq_take_turns`.
    pub(crate) fn claim_looks(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let ClaimStage::Picked { turn, head } = self.claim(s, runner, claim)?.stage else {
            return None;
        };
        let is_ending = s.jobs.iter().enumerate().any(|(job, row)| {
            row.running
                .iter()
                .flatten()
                .any(|row| self.is_ending(s, job, row.token))
        });
        if is_ending && self.has(Mechanism::EndingHeadKeepsTurn) {
            self.end_claim(s, runner, claim);
            return Some(());
        }
        let head = if self.has(Mechanism::HeadIsFresh) {
            self.head(s)
        } else {
            head.map(usize::from)
        };
        let looked = head.and_then(|head| {
            let is_known = self.config.knows(runner, self.config.name_of(head));
            let is_due = s.jobs[head].is_due();
            let looks_closer = is_due || !is_known || self.has(Mechanism::EndingHeadKeepsTurn);
            looks_closer.then_some(ClaimStage::Looked {
                turn,
                head: head as u8,
                runs: is_known && is_due,
            })
        });
        match looked {
            Some(stage) => self.set_stage(s, runner, claim, stage),
            None => {
                self.drop_turn(s, turn);
                self.end_claim(s, runner, claim);
            }
        }
        Some(())
    }

    /// The third statement of `mq_take_turns`, and what follows.
    pub(crate) fn claim_starts(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let ClaimStage::Looked { turn, head, runs } = self.claim(s, runner, claim)?.stage else {
            return None;
        };
        let job = head as usize;
        let is_locked = s.cancellation.is_some_and(|c| c.job == head && c.found);
        if !s.jobs[job].line || is_locked {
            if !self.has(Mechanism::BusyHeadKeepsTurn) {
                self.drop_turn(s, turn);
            }
            self.end_claim(s, runner, claim);
        } else if runs {
            self.set_stage(
                s,
                runner,
                claim,
                ClaimStage::Taken {
                    job: head,
                    turn: Some(turn),
                },
            );
        } else {
            self.drop_turn(s, turn);
            let is_known = self.config.knows(runner, self.config.name_of(job));
            if s.jobs[job].is_due() && !is_known && self.has(Mechanism::UnknownHeadGetsTurn) {
                self.give_turn(s, self.config.name_of(job));
            }
            self.end_claim(s, runner, claim);
        }
        Some(())
    }

    /// Refused, or nothing there that it could lock.
    pub(crate) fn claim_finds_nothing(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let sent = self.claim(s, runner, claim)?;
        matches!(sent.stage, ClaimStage::Sent | ClaimStage::Snapped { .. }).then_some(())?;
        let may = !self.finds_something(s, runner) || !self.holds_lease(s, runner, &sent);
        may.then_some(())?;
        self.end_claim(s, runner, claim);
        Some(())
    }

    pub(crate) fn claim_commits(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let taken = self.claim(s, runner, claim)?;
        let ClaimStage::Taken { job, turn } = taken.stage else {
            return None;
        };
        let token = Token {
            runner: runner as u8,
            lease: taken.lease,
            claim: taken.number,
        };
        let attempt = s.jobs[job as usize].attempts + 1;
        if let Some(turn) = turn {
            self.drop_turn(s, turn);
        }
        self.start_row(s, job, token)?;
        if attempt > 1 && self.has(Mechanism::DurableRetries) {
            s.flush();
        } else if self.config.which.database_crashes
            && let Some(place) = s.unflushed.iter_mut().find(|claim| claim.is_none())
        {
            *place = Some(Unflushed { job, token, turn });
        }
        if taken.awaited {
            self.set_stage(s, runner, claim, ClaimStage::Answered { job, attempt });
        } else {
            self.end_claim(s, runner, claim);
        }
        Some(())
    }

    /// The running row is there for all to see.
    pub(crate) fn start_row(&self, s: &mut State, job: u8, token: Token) -> Option<()> {
        let before = s.jobs[job as usize].before;
        if self.config.ordered && (0..MAX_JOBS).any(|b| before & (1 << b) != 0 && !s.jobs[b].has_ended) {
            s.flag(Broken::Order);
        }
        let row = &mut s.jobs[job as usize];
        row.ready = false;
        let attempt = row.attempts + 1;
        let place = row.running.iter_mut().find(|row| row.is_none())?;
        *place = Some(Running { token, attempt });
        Some(())
    }

    /// The runner starts the job's function, or gives the job back if its lease has ended meanwhile.
    pub(crate) fn claim_answered(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let answered = self.claim(s, runner, claim)?;
        let ClaimStage::Answered { job, attempt } = answered.stage else {
            return None;
        };
        s.runners[runner].is_up().then_some(())?;
        self.end_claim(s, runner, claim);
        let token = Token {
            runner: runner as u8,
            lease: answered.lease,
            claim: answered.number,
        };
        let is_ours = s.runners[runner].current == Some(answered.lease);
        if is_ours {
            self.note_start(s, job, attempt, token);
        }
        let forgotten = s.jobs[job as usize].row(token).is_none();
        let place = s.runners[runner]
            .attempts
            .iter_mut()
            .find(|slot| slot.is_none())?;
        *place = Some(Attempt {
            job,
            token,
            number: attempt,
            stage: if is_ours {
                AttemptStage::Working
            } else {
                AttemptStage::ReleaseSent
            },
            told: !is_ours,
            forgotten,
        });
        Some(())
    }

    fn note_start(&self, s: &mut State, job: u8, attempt: u8, token: Token) {
        let row = &mut s.jobs[job as usize];
        // What a crash has forgotten is counted by nobody. That is why only first attempts may be forgotten.
        let is_again = attempt > 1 && row.started & (1 << attempt) != 0;
        row.started |= 1 << attempt;
        if is_again {
            s.flag(Broken::AttemptTwice);
        }
        // Whose clock is wrong, or whose job has a lease of its own, may not know yet.
        if self.config.which.clock_jumps
            || self.config.which.own_leases
            || s.jobs[job as usize].row(token).is_none()
        {
            return;
        }
        let others_work = s.attempts().any(|(owner, other)| {
            other.job == job
                && other.token != token
                && !other.told
                && !other.forgotten
                && s.runners[owner].is_up()
                && matches!(other.stage, AttemptStage::Working | AttemptStage::CompleteSent)
        });
        if others_work {
            s.flag(Broken::TwoAtOnce);
        }
    }

    /// The answer was lost, or did not come in time. The server may still be at work.
    pub(crate) fn claim_given_up(&self, s: &mut State, runner: usize, claim: usize) -> Option<()> {
        let given_up = self.claim(s, runner, claim)?;
        // That is the completion's answer.
        if let ClaimStage::Beside { .. } = given_up.stage {
            return None;
        }
        (self.config.which.lost_answers && given_up.awaited && s.runners[runner].is_up()).then_some(())?;
        self.fault(s)?;
        if let ClaimStage::Answered { .. } = given_up.stage {
            self.end_claim(s, runner, claim);
        } else if let Some(claim) = &mut s.runners[runner].claims[claim] {
            claim.awaited = false;
        }
        Some(())
    }
}
