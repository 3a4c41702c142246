//! States that differ in nothing but names are one state: runners, jobs, incarnations and claim numbers are renamed.

use crate::config::Config;
use crate::state::{CLAIMS, LEASES, Lease, MAX_JOBS, MAX_RUNNERS, State, Token};

impl State {
    /// Whether anybody still refers to this incarnation.
    pub(crate) fn is_used(&self, runner: usize, lease: u8) -> bool {
        let memory = &self.runners[runner];
        let is_its = |token: Token| token.runner as usize == runner && token.lease == lease;
        self.leases[runner][lease as usize].row
            || memory.current == Some(lease)
            || memory.renewal == Some(lease)
            || memory.audit.is_some_and(|audit| audit.lease == lease)
            || memory.claims.iter().flatten().any(|claim| claim.lease == lease)
            || memory
                .attempts
                .iter()
                .flatten()
                .any(|attempt| is_its(attempt.token))
            || self
                .jobs
                .iter()
                .flat_map(|job| job.running.iter().flatten())
                .any(|row| is_its(row.token))
    }

    /// Calls `visit` for each claim number of an incarnation.
    fn each_claim_number(&mut self, runner: usize, lease: u8, mut visit: impl FnMut(&mut u8)) {
        let mut visit_token = |token: &mut Token| {
            if token.runner as usize == runner && token.lease == lease {
                visit(&mut token.claim);
            }
        };
        for job in &mut self.jobs {
            job.running
                .iter_mut()
                .flatten()
                .for_each(|row| visit_token(&mut row.token));
        }
        self.unflushed
            .iter_mut()
            .flatten()
            .for_each(|claim| visit_token(&mut claim.token));
        let memory = &mut self.runners[runner];
        memory
            .attempts
            .iter_mut()
            .flatten()
            .for_each(|attempt| visit_token(&mut attempt.token));
        for claim in memory
            .claims
            .iter_mut()
            .flatten()
            .filter(|claim| claim.lease == lease)
        {
            visit(&mut claim.number);
        }
        if let Some(audit) = memory.audit.as_mut().filter(|audit| audit.lease == lease) {
            audit
                .held
                .iter_mut()
                .flatten()
                .for_each(|held| visit(&mut held.1));
            visit(&mut audit.before_claim);
        }
        if memory.current == Some(lease) {
            visit(&mut memory.next_claim);
        }
        visit(&mut self.leases[runner][lease as usize].first_claim);
    }

    /// Only the order of the numbers matters, so they are counted from zero without gaps.
    fn renumber_claims(&mut self, runner: usize, lease: u8) {
        let mut seen = 0_u64;
        self.each_claim_number(runner, lease, |number| seen |= 1 << *number);
        self.each_claim_number(runner, lease, |number| {
            *number = (seen & ((1 << *number) - 1)).count_ones() as u8;
        });
    }

    /// Calls `visit` for each token of a runner.
    fn each_lease_number(&mut self, runner: usize, visit: impl Fn(&mut u8)) {
        let visit_token = |token: &mut Token| {
            if token.runner as usize == runner {
                visit(&mut token.lease);
            }
        };
        for job in &mut self.jobs {
            job.running
                .iter_mut()
                .flatten()
                .for_each(|row| visit_token(&mut row.token));
        }
        self.unflushed
            .iter_mut()
            .flatten()
            .for_each(|claim| visit_token(&mut claim.token));
        let memory = &mut self.runners[runner];
        memory
            .attempts
            .iter_mut()
            .flatten()
            .for_each(|attempt| visit_token(&mut attempt.token));
        memory
            .claims
            .iter_mut()
            .flatten()
            .for_each(|claim| visit(&mut claim.lease));
        memory.audit.iter_mut().for_each(|audit| visit(&mut audit.lease));
        memory.renewal.iter_mut().for_each(&visit);
        memory.current.iter_mut().for_each(&visit);
    }

    /// The current incarnation, or else one that is used, comes first.
    fn reorder_leases(&mut self, runner: usize) {
        let [first, second] = [self.is_used(runner, 0), self.is_used(runner, 1)];
        let current = self.runners[runner].current;
        if current == Some(1) || current.is_none() && second && !first {
            self.each_lease_number(runner, |lease| *lease = 1 - *lease);
            self.leases[runner].swap(0, 1);
        }
    }

    fn rename(&self, config: &Config, runners: &[usize; MAX_RUNNERS], jobs: &[usize; MAX_JOBS]) -> State {
        let mut renamed = *self;
        for old in 0..config.jobs {
            renamed.jobs[jobs[old]] = self.jobs[old];
        }
        for old in 0..config.runners {
            renamed.runners[runners[old]] = self.runners[old];
            renamed.leases[runners[old]] = self.leases[old];
        }
        let rename_token = |token: &mut Token| token.runner = runners[token.runner as usize] as u8;
        let rename_job = |job: &mut u8| *job = jobs[*job as usize] as u8;
        for job in &mut renamed.jobs {
            job.running
                .iter_mut()
                .flatten()
                .for_each(|row| rename_token(&mut row.token));
            job.running.sort_by_key(|row| (row.is_none(), *row));
        }
        for claim in renamed.unflushed.iter_mut().flatten() {
            rename_token(&mut claim.token);
            rename_job(&mut claim.job);
        }
        if let Some(cancellation) = &mut renamed.cancellation {
            rename_job(&mut cancellation.job);
        }
        for memory in &mut renamed.runners {
            for attempt in memory.attempts.iter_mut().flatten() {
                rename_token(&mut attempt.token);
                rename_job(&mut attempt.job);
            }
            for claim in memory.claims.iter_mut().flatten() {
                use crate::state::ClaimStage::*;
                match &mut claim.stage {
                    Taken { job, .. } | Answered { job, .. } | Looked { head: job, .. } => rename_job(job),
                    Beside { job, behind } => {
                        rename_job(job);
                        rename_job(behind);
                    }
                    Snapped { head: Some(job) } | Picked { head: Some(job), .. } => rename_job(job),
                    Sent | Snapped { head: None } | Picked { head: None, .. } => {}
                }
            }
            if let Some(audit) = &mut memory.audit {
                audit
                    .held
                    .iter_mut()
                    .flatten()
                    .for_each(|held| rename_job(&mut held.0));
                audit.held.sort_by_key(|held| (held.is_none(), *held));
            }
            memory
                .attempts
                .sort_by_key(|attempt| (attempt.is_none(), *attempt));
            memory.claims.sort_by_key(|claim| (claim.is_none(), *claim));
        }
        renamed
    }
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// How many of [`ORDERS`] leave everything from `count` on where it is.
fn orders(count: usize, alike: bool) -> &'static [[usize; 3]] {
    match (alike, count) {
        (true, 3) => &ORDERS,
        (true, 2) => &ORDERS[..2],
        _ => &ORDERS[..1],
    }
}

/// The same state under the names that come first.
pub(crate) fn canonical(config: &Config, mut state: State) -> State {
    for runner in 0..config.runners {
        state.reorder_leases(runner);
        for lease in 0..LEASES as u8 {
            if state.is_used(runner, lease) {
                state.renumber_claims(runner, lease);
            } else {
                state.leases[runner][lease as usize] = Lease::default();
            }
        }
        debug_assert!(state.runners[runner].claims.len() == CLAIMS);
    }
    orders(config.runners, config.runners_are_alike())
        .iter()
        .flat_map(|runners| {
            orders(config.jobs, config.jobs_are_alike())
                .iter()
                .map(move |jobs| (runners, jobs))
        })
        .map(|(runners, jobs)| state.rename(config, runners, jobs))
        .min()
        .unwrap_or(state)
}
