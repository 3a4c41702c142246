//! What is checked: how many jobs and runners, of which kind, and which faults may hit them.

use crate::state::{MAX_JOBS, MAX_RUNNERS, NAMES, SLOTS};

/// Which faults may happen. All of them together happen at most [`Config::faults`] times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A lease is not renewed in time.
    pub leases: bool,
    /// A process stands still for any time, and goes on.
    pub pauses: bool,
    /// A process ends at any step; its statements on their way may still be carried out.
    pub crashes: bool,
    /// Answers to claims, completions, failures and commits get lost.
    pub lost_answers: bool,
    /// The database crashes: open transactions are rolled back, any number of the latest asynchronous claims forgotten.
    pub database_crashes: bool,
    /// The database's clock jumps beyond every lease.
    pub clock_jumps: bool,
    /// A renewal arrives at any later time.
    pub late_renewals: bool,
    /// An audit arrives at any later time, and compares with what the runner held when it was sent. Not counted.
    pub late_audits: bool,
    /// Single jobs outlive a lease of their own.
    pub own_leases: bool,
    /// Runners shut down, and start again.
    pub stops: bool,
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Short, for reports.
    pub name: &'static str,
    /// At most 3.
    pub jobs: usize,
    /// At most 3.
    pub runners: usize,
    /// Jobs that a runner runs at once, at most 2.
    pub slots: usize,
    /// Attempts of each job.
    pub max_attempts: u8,
    /// All jobs are of one ordered channel.
    pub ordered: bool,
    /// Jobs that are spawned with a commit interval, as bits.
    pub held: u8,
    /// The name of each job.
    pub names: [u8; MAX_JOBS],
    /// The names each runner knows, as bits.
    pub known: [u8; MAX_RUNNERS],
    /// Jobs are spawned by transactions that overlap. Otherwise all are there at the start.
    pub spawns: bool,
    /// Functions may fail.
    pub failures: bool,
    /// Functions check-point.
    pub checkpoints: bool,
    /// Somebody cancels jobs.
    pub cancels: bool,
    /// Somebody requeues and discards dead jobs.
    pub operators: bool,
    /// Which faults.
    pub which: Faults,
    /// How many.
    pub faults: u8,
}

impl Config {
    /// Unordered jobs without faults, to be changed with struct update syntax.
    pub const fn new(name: &'static str, jobs: usize, runners: usize) -> Self {
        assert!(jobs <= MAX_JOBS && runners <= MAX_RUNNERS);
        Self {
            name,
            jobs,
            runners,
            slots: 1,
            max_attempts: 2,
            ordered: false,
            held: 0,
            names: [0; MAX_JOBS],
            known: [u8::MAX; MAX_RUNNERS],
            spawns: false,
            failures: false,
            checkpoints: false,
            cancels: false,
            operators: false,
            which: Faults {
                leases: false,
                pauses: false,
                crashes: false,
                lost_answers: false,
                database_crashes: false,
                clock_jumps: false,
                late_renewals: false,
                late_audits: false,
                own_leases: false,
                stops: false,
            },
            faults: 0,
        }
    }

    /// The same with so many jobs, runners and faults.
    pub const fn of(self, jobs: usize, runners: usize, faults: u8) -> Self {
        assert!(jobs <= MAX_JOBS && runners <= MAX_RUNNERS);
        Self {
            jobs,
            runners,
            faults,
            ..self
        }
    }

    pub(crate) fn knows(&self, runner: usize, name: u8) -> bool {
        self.known[runner] & (1 << name) != 0
    }

    pub(crate) fn name_of(&self, job: usize) -> u8 {
        self.names[job]
    }

    pub(crate) fn is_held(&self, job: usize) -> bool {
        self.held & (1 << job) != 0
    }

    /// Whether the runners can be told apart.
    pub(crate) fn runners_are_alike(&self) -> bool {
        self.known
            .iter()
            .take(self.runners)
            .all(|known| *known == self.known[0])
    }

    /// Whether the jobs can be told apart.
    pub(crate) fn jobs_are_alike(&self) -> bool {
        !self.ordered
            && !self.spawns
            && (0..self.jobs)
                .all(|job| self.names[job] == self.names[0] && self.is_held(job) == self.is_held(0))
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.slots <= SLOTS
            && self.max_attempts <= 3
            && self.names.iter().all(|name| (*name as usize) < NAMES)
    }
}
