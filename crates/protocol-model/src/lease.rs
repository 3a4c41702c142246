//! Leases: register, renew, audit, the runner's own deadline, the reaper's two witnesses.

use crate::mechanism::Mechanism;
use crate::protocol::Protocol;
use crate::state::{
    Attempt, AttemptStage, Audit, Broken, ClaimStage, LEASES, Lease, MAX_JOBS, Process, Running, SLOTS, State,
};

impl Protocol {
    pub(crate) fn register(&self, s: &mut State, runner: usize) -> Option<()> {
        let memory = &s.runners[runner];
        (memory.process == Process::Awake && memory.current.is_none()).then_some(())?;
        let lease = (0..LEASES as u8).find(|lease| !s.is_used(runner, *lease))?;
        s.flush();
        s.leases[runner][lease as usize] = Lease {
            row: true,
            ..Lease::default()
        };
        s.runners[runner].current = Some(lease);
        s.runners[runner].next_claim = 0;
        Some(())
    }

    /// Ends the incarnation for good: what it held is told, what was sent may still arrive.
    pub(crate) fn end_incarnation(&self, s: &mut State, runner: usize) {
        let memory = &mut s.runners[runner];
        memory.current = None;
        memory.is_over = false;
        memory.next_claim = 0;
        for slot in &mut memory.attempts {
            *slot = slot.and_then(told);
        }
    }

    fn extend(&self, s: &mut State, runner: usize, lease: u8) -> bool {
        let row = &mut s.leases[runner][lease as usize];
        if !row.row || row.over && self.has(Mechanism::RenewalRefusesEndedLease) {
            return false;
        }
        let was_over = row.over;
        row.over = false;
        row.watched = false;
        if was_over {
            s.flag(Broken::Revived);
        }
        true
    }

    /// A renewal that is answered at once.
    pub(crate) fn renew(&self, s: &mut State, runner: usize) -> Option<()> {
        let lease = s.runners[runner].current.filter(|_| s.runners[runner].is_up())?;
        // Past its own deadline it renews no more; without that mechanism, its connection is what is broken.
        (!s.runners[runner].is_over).then_some(())?;
        if self.extend(s, runner, lease) {
            s.flush();
        } else {
            self.end_incarnation(s, runner);
        }
        Some(())
    }

    pub(crate) fn renew_later(&self, s: &mut State, runner: usize) -> Option<()> {
        let lease = s.runners[runner].current.filter(|_| s.runners[runner].is_up())?;
        (self.config.which.late_renewals && s.runners[runner].renewal.is_none()).then_some(())?;
        self.fault(s)?;
        s.runners[runner].renewal = Some(lease);
        Some(())
    }

    pub(crate) fn renewal_arrives(&self, s: &mut State, runner: usize) -> Option<()> {
        let lease = s.runners[runner].renewal.take()?;
        let is_renewed = self.extend(s, runner, lease);
        if is_renewed {
            s.flush();
        }
        if s.runners[runner].is_up() && s.runners[runner].current == Some(lease) {
            if is_renewed {
                s.runners[runner].is_over = false;
            } else {
                self.end_incarnation(s, runner);
            }
        }
        Some(())
    }

    /// The inventory is taken and sent.
    pub(crate) fn send_audit(&self, s: &mut State, runner: usize) -> Option<()> {
        let memory = &s.runners[runner];
        let lease = memory.current?;
        let may = self.has(Mechanism::Audit) && memory.is_up() && memory.audit.is_none() && !memory.is_over;
        may.then_some(())?;
        let mut held = [None; SLOTS];
        let holding = memory
            .attempts
            .iter()
            .flatten()
            .filter(|attempt| !attempt.told && attempt.token.lease == lease);
        for (place, attempt) in held.iter_mut().zip(holding) {
            *place = Some((attempt.job, attempt.token.claim));
        }
        let in_flight = memory
            .claims
            .iter()
            .flatten()
            .filter(|claim| claim.awaited && claim.lease == lease)
            .map(|claim| claim.number)
            .min()
            .filter(|_| self.has(Mechanism::AuditSparesClaimsInFlight));
        s.runners[runner].audit = Some(Audit {
            lease,
            held,
            before_claim: in_flight.unwrap_or(memory.next_claim),
        });
        if self.config.which.late_audits {
            return Some(());
        }
        self.audit_arrives(s, runner)
    }

    /// `mq_audit`, and what the runner makes of its answer.
    pub(crate) fn audit_arrives(&self, s: &mut State, runner: usize) -> Option<()> {
        let audit = s.runners[runner].audit.take()?;
        let lease = s.leases[runner][audit.lease as usize];
        let oldest_held = audit.held.iter().flatten().map(|held| held.1).min();
        let next_first = oldest_held.map_or(audit.before_claim, |held| held.min(audit.before_claim));
        let is_claiming = s.is_claiming(runner, audit.lease) && self.has(Mechanism::ClaimLocksRunner);
        let may_leave_behind = lease.row
            && lease.first_claim < next_first
            && !(is_claiming && self.has(Mechanism::AuditWaitsForClaims));

        self.tell_lost(s, runner, &audit);
        let mut left_one = false;
        for (job, row) in self.rows_of(s, runner, audit.lease) {
            let is_stray = lease.row
                && row.token.claim >= lease.first_claim
                && row.token.claim < audit.before_claim
                && !audit.held.contains(&Some((job as u8, row.token.claim)));
            if !is_stray {
                continue;
            }
            if self.is_ending(s, job, row.token) {
                left_one = true;
            } else {
                self.note_behind(s, job, row);
                s.flush();
                self.end_attempt(s, job, row, false);
            }
        }
        if may_leave_behind && !left_one {
            s.flush();
            s.leases[runner][audit.lease as usize].first_claim = next_first;
        }
        Some(())
    }

    fn tell_lost(&self, s: &mut State, runner: usize, audit: &Audit) {
        if !s.runners[runner].is_up() {
            return;
        }
        let jobs = s.jobs;
        for slot in &mut s.runners[runner].attempts {
            let is_lost = slot.is_some_and(|attempt| {
                attempt.token.lease == audit.lease
                    && audit.held.contains(&Some((attempt.job, attempt.token.claim)))
                    && jobs[attempt.job as usize].row(attempt.token).is_none()
                    && matches!(
                        attempt.stage,
                        AttemptStage::Working | AttemptStage::CheckpointSent
                    )
            });
            if is_lost {
                *slot = slot.and_then(told);
            }
        }
    }

    /// The running rows of a lease.
    fn rows_of(&self, s: &State, runner: usize, lease: u8) -> Vec<(usize, Running)> {
        (0..MAX_JOBS)
            .flat_map(|job| {
                s.jobs[job]
                    .running
                    .into_iter()
                    .flatten()
                    .map(move |row| (job, row))
            })
            .filter(|(_, row)| row.token.runner as usize == runner && row.token.lease == lease)
            .collect()
    }

    /// Flags that an attempt is ended while its runner is awake and takes it for its own.
    fn note_behind(&self, s: &mut State, job: usize, row: Running) {
        let memory = &s.runners[row.token.runner as usize];
        let believes = memory.attempts.iter().flatten().any(|attempt| {
            attempt.job as usize == job
                && attempt.token == row.token
                && !attempt.told
                && matches!(
                    attempt.stage,
                    AttemptStage::Working | AttemptStage::CompleteSent | AttemptStage::CheckpointSent
                )
        }) || memory.claims.iter().flatten().any(|claim| {
            claim.awaited
                && claim.lease == row.token.lease
                && claim.number == row.token.claim
                && matches!(claim.stage, ClaimStage::Answered { .. })
        });
        if believes && memory.is_up() && memory.current == Some(row.token.lease) && !memory.is_over {
            s.flag(Broken::BehindItsBack);
        }
    }

    /// An ended incarnation is cleared up by its own process: `mq_audit` of everything, then `mq_unregister`.
    pub(crate) fn clear_up(&self, s: &mut State, runner: usize, lease: u8) -> Option<()> {
        let memory = &s.runners[runner];
        // Only with the renewal of another.
        let may = memory.is_up()
            && memory.current.is_some_and(|current| current != lease)
            && s.leases[runner][lease as usize].row
            && !(s.is_claiming(runner, lease) && self.has(Mechanism::ClaimLocksRunner));
        may.then_some(())?;
        s.flush();
        for (job, row) in self.rows_of(s, runner, lease) {
            if !self.is_ending(s, job, row.token) {
                self.end_attempt(s, job, row, false);
            }
        }
        self.drop_lease(s, runner, lease);
        Some(())
    }

    /// The runner's row goes, unless running rows are left.
    fn drop_lease(&self, s: &mut State, runner: usize, lease: u8) {
        if self.rows_of(s, runner, lease).is_empty() || !self.has(Mechanism::ReapKeepsRunnerWithRows) {
            s.leases[runner][lease as usize].row = false;
        }
    }

    /// A lease was not renewed in time, by the clock of the process.
    pub(crate) fn local_deadline(&self, s: &mut State, runner: usize) -> Option<()> {
        let memory = &s.runners[runner];
        let may = (self.config.which.leases || memory.process == Process::Paused)
            && memory.process != Process::Down
            && memory.current.is_some()
            && !memory.is_over;
        may.then_some(())?;
        self.fault(s)?;
        if s.runners[runner].is_up() && self.has(Mechanism::LocalDeadline) {
            self.end_incarnation(s, runner);
        } else {
            s.runners[runner].is_over = true;
        }
        Some(())
    }

    /// By the database's clock, which is never before the runner's own deadline.
    pub(crate) fn lease_over(&self, s: &mut State, runner: usize, lease: u8) -> Option<()> {
        let memory = &s.runners[runner];
        let is_alive = memory.process != Process::Down && memory.current == Some(lease) && !memory.is_over;
        let row = &mut s.leases[runner][lease as usize];
        (row.row && !row.over && !is_alive).then_some(())?;
        row.over = true;
        Some(())
    }

    /// A beat stands still for a third of a lease and two seconds. A runner that is awake would have renewed, or ended.
    pub(crate) fn silence(&self, s: &mut State, runner: usize, lease: u8) -> Option<()> {
        let memory = &s.runners[runner];
        let beats = memory.is_up() && memory.current == Some(lease) && !memory.is_over;
        let row = &mut s.leases[runner][lease as usize];
        (row.row && row.over && !row.watched && !beats && self.has(Mechanism::SecondWitness)).then_some(())?;
        row.watched = true;
        Some(())
    }

    /// `mq_reap`, by any runner that is awake.
    pub(crate) fn reap(&self, s: &mut State, runner: usize, lease: u8) -> Option<()> {
        let row = s.leases[runner][lease as usize];
        let may = row.row
            && row.over
            && (row.watched || !self.has(Mechanism::SecondWitness))
            && s.runners.iter().any(|other| other.is_up())
            && !(s.is_claiming(runner, lease) && self.has(Mechanism::ClaimLocksRunner));
        may.then_some(())?;
        let was_silent = row.watched;
        for (job, row) in self.rows_of(s, runner, lease) {
            if !self.is_ending(s, job, row.token) {
                // One that stood still, and has gone on a moment ago, may be surprised.
                if !was_silent {
                    self.note_behind(s, job, row);
                }
                s.flush();
                self.end_attempt(s, job, row, true);
            }
        }
        self.drop_lease(s, runner, lease);
        if !s.leases[runner][lease as usize].row {
            s.flush();
        }
        Some(())
    }

    /// `mq_reap_jobs`, after a job has outlived its own lease.
    pub(crate) fn own_lease_over(&self, s: &mut State, job: usize) -> Option<()> {
        self.config.which.own_leases.then_some(())?;
        let row = s.jobs[job].running[0]?;
        (!self.is_ending(s, job, row.token)).then_some(())?;
        self.fault(s)?;
        s.flush();
        self.end_attempt(s, job, row, true);
        Some(())
    }

    /// `mq_unregister`, when everything has been given back.
    pub(crate) fn unregister(&self, s: &mut State, runner: usize) -> Option<()> {
        let memory = &s.runners[runner];
        let is_done = memory.process == Process::Stopping
            && memory.attempts.iter().all(Option::is_none)
            && !memory.claims.iter().flatten().any(|claim| claim.awaited);
        is_done.then_some(())?;
        if let Some(lease) = memory.current {
            if s.is_claiming(runner, lease) && self.has(Mechanism::ClaimLocksRunner) {
                return None;
            }
            s.flush();
            for (job, row) in self.rows_of(s, runner, lease) {
                if !self.is_ending(s, job, row.token) {
                    self.release(s, job, row);
                }
            }
            self.drop_lease(s, runner, lease);
        }
        let memory = &mut s.runners[runner];
        memory.process = Process::Down;
        memory.current = None;
        memory.is_over = false;
        memory.next_claim = 0;
        Some(())
    }
}

/// An attempt that is told that it is over: only what was sent before may still arrive.
pub(crate) fn told(attempt: Attempt) -> Option<Attempt> {
    let is_sent = !matches!(
        attempt.stage,
        AttemptStage::Working | AttemptStage::Unknown { .. }
    );
    is_sent.then_some(Attempt {
        told: true,
        ..attempt
    })
}
