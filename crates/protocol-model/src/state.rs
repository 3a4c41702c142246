//! One state of the system: the rows of the database, its open transactions, the memory of the runners, and what is on its way.
//!
//! Rows are as committed. What an open transaction has changed is held by the transaction (a claim, an open completion, a
//! cancellation), as a lock, until it commits.

pub(crate) const MAX_JOBS: usize = 3;
pub(crate) const MAX_RUNNERS: usize = 3;
/// Jobs that one runner runs at once.
pub(crate) const SLOTS: usize = 2;
/// Claims of one runner that the server has not ended: one awaited, one given up.
pub(crate) const CLAIMS: usize = 2;
/// Incarnations of one runner that somebody still refers to.
pub(crate) const LEASES: usize = 2;
pub(crate) const NAMES: usize = 2;
/// More turns than claims can use at once make no difference.
pub(crate) const MANY_TURNS: u8 = 3;

/// Proof of one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    pub(crate) runner: u8,
    pub(crate) lease: u8,
    pub(crate) claim: u8,
}

/// How a job ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    Completed,
    Cancelled,
    Expired,
    Discarded,
}

/// Whether the job's row is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Unspawned,
    /// Its number is drawn, its transaction open.
    Spawning,
    Stored,
    Ended(End),
}

/// A row of `mq_held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Held {
    #[default]
    No,
    Yes,
    /// Its interval is over.
    Over,
}

/// A row of `mq_running`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Running {
    pub(crate) token: Token,
    pub(crate) attempt: u8,
}

/// One job: its rows in all tables, and what is remembered of it to judge by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    pub(crate) stage: Stage,
    /// Drawn from `mq_number` by ordered jobs.
    pub(crate) number: u8,
    pub(crate) ready: bool,
    pub(crate) scheduled: bool,
    pub(crate) held: Held,
    pub(crate) dead: bool,
    pub(crate) line: bool,
    /// Attempts used, as carried by the state row.
    pub(crate) attempts: u8,
    /// More than one only without the mechanisms.
    pub(crate) running: [Option<Running>; 2],
    /// A commit of the held job is on its way.
    pub(crate) commit_sent: bool,
    /// Without the re-check: an expiry has seen the job and will delete it.
    pub(crate) expiry_picked: bool,
    /// Committed effects of `complete_with_transaction`.
    pub(crate) effects: u8,
    /// Jobs whose transactions had committed when this one's spawn call began, as bits.
    pub(crate) before: u8,
    /// Has completed, died, been cancelled or expired, at least once.
    pub(crate) has_ended: bool,
    /// Its transaction writes a turn.
    pub(crate) gives_turn: bool,
    /// `mq_commit` said that it was committed.
    pub(crate) said_committed: bool,
    /// Numbers of attempts that functions were started for, as bits.
    pub(crate) started: u8,
}

/// A row of `mq_runners`, and how far its lease is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    pub(crate) row: bool,
    /// By the clock of the database.
    pub(crate) over: bool,
    /// A reaper has seen this beat stand still for long enough.
    pub(crate) watched: bool,
    pub(crate) first_claim: u8,
}

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimStage {
    /// On its way, or before its first lock.
    Sent,
    /// Without a fresh look: has taken its snapshot.
    Snapped { head: Option<u8> },
    /// Holds a turn and its channel.
    Picked { turn: u8, head: Option<u8> },
    /// Has looked at the head.
    Looked { turn: u8, head: u8, runs: bool },
    /// Has made the job running, not committed.
    Taken { job: u8, turn: Option<u8> },
    /// The same, in the transaction that completes the job before it.
    Beside { job: u8, behind: u8 },
    /// Committed. The answer is on its way.
    Answered { job: u8, attempt: u8 },
}

/// A claim of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    pub(crate) lease: u8,
    pub(crate) number: u8,
    pub(crate) stage: ClaimStage,
    /// The runner waits for the answer.
    pub(crate) awaited: bool,
}

/// How far an attempt is, in the process that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttemptStage {
    Working,
    /// Checked locally, `mq_complete` is on its way.
    CompleteSent,
    /// `mq_complete` said yes, the transaction with the effects is open. With the name of who is next in line.
    Open {
        next: Option<u8>,
    },
    /// The commit was sent and not answered.
    Unknown {
        committed: bool,
    },
    FailSent,
    ReleaseSent,
    CheckpointSent,
}

/// An attempt in the memory of its runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    pub(crate) job: u8,
    pub(crate) token: Token,
    pub(crate) number: u8,
    pub(crate) stage: AttemptStage,
    /// Told that it is over, and not held any more. Only what was sent before may still arrive.
    pub(crate) told: bool,
    /// Its claim was forgotten by a crash of the database.
    pub(crate) forgotten: bool,
}

/// What a runner does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    #[default]
    Down,
    Awake,
    /// Stopped by a signal, a debugger, a frozen machine.
    Paused,
    /// Shutting down.
    Stopping,
}

/// What a runner held when it sent an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audit {
    pub(crate) lease: u8,
    /// Job and claim.
    pub(crate) held: [Option<(u8, u8)>; SLOTS],
    pub(crate) before_claim: u8,
}

/// One runner's process, and its statements on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Runner {
    pub(crate) process: Process,
    /// The lease it claims under.
    pub(crate) current: Option<u8>,
    /// The current lease is over by its own clock.
    pub(crate) is_over: bool,
    pub(crate) next_claim: u8,
    pub(crate) claims: [Option<Claim>; CLAIMS],
    pub(crate) attempts: [Option<Attempt>; SLOTS],
    /// The lease of a renewal that is late.
    pub(crate) renewal: Option<u8>,
    pub(crate) audit: Option<Audit>,
}

/// Where a cancellation looks, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Ready,
    Scheduled,
    Held,
    Running,
    Dead,
    Line,
}

/// A cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cancellation {
    pub(crate) job: u8,
    pub(crate) at: Table,
    /// It has locked the row it was looking at.
    pub(crate) found: bool,
    /// The name of who is next in line, as seen then.
    pub(crate) next: Option<u8>,
}

/// A claim that was committed asynchronously.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unflushed {
    pub(crate) job: u8,
    pub(crate) token: Token,
    pub(crate) turn: Option<u8>,
}

/// What must never happen, where it is a step and not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Broken {
    StaleToken = 1,
    Order = 2,
    AttemptTwice = 4,
    BehindItsBack = 8,
    TwoAtOnce = 16,
    Revived = 32,
    Lied = 64,
}

/// One state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    pub(crate) jobs: [Job; MAX_JOBS],
    pub(crate) runners: [Runner; MAX_RUNNERS],
    pub(crate) leases: [[Lease; LEASES]; MAX_RUNNERS],
    /// Turns of the ordered channel, by name.
    pub(crate) turns: [u8; NAMES],
    pub(crate) cancellation: Option<Cancellation>,
    /// Claims that a crash of the database would forget, oldest first.
    pub(crate) unflushed: [Option<Unflushed>; MAX_JOBS],
    pub(crate) faults_left: u8,
    pub(crate) broken: u16,
}

impl State {
    pub(crate) fn flag(&mut self, broken: Broken) {
        self.broken |= broken as u16;
    }

    pub(crate) fn has_flag(&self, broken: Broken) -> bool {
        self.broken & broken as u16 != 0
    }

    /// A commit that waits for its WAL: everything committed before it is durable too.
    pub(crate) fn flush(&mut self) {
        self.unflushed = [None; MAX_JOBS];
    }

    /// All claims with their runners.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (usize, &Claim)> {
        self.runners
            .iter()
            .enumerate()
            .flat_map(|(r, runner)| runner.claims.iter().flatten().map(move |claim| (r, claim)))
    }

    /// All attempts with their runners.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (usize, &Attempt)> {
        self.runners
            .iter()
            .enumerate()
            .flat_map(|(r, runner)| runner.attempts.iter().flatten().map(move |attempt| (r, attempt)))
    }

    /// Whether a cancellation has locked this row.
    pub(crate) fn is_cancelling(&self, job: usize, table: Table) -> bool {
        self.cancellation
            .is_some_and(|c| c.job as usize == job && c.found && c.at == table)
    }

    /// Whether an open completion has started this job.
    pub(crate) fn is_next(&self, job: usize) -> bool {
        self.claims().any(
            |(_, claim)| matches!(claim.stage, ClaimStage::Beside { job: next, .. } if next as usize == job),
        )
    }

    /// Whether a claim that has not committed holds this lease's row.
    pub(crate) fn is_claiming(&self, runner: usize, lease: u8) -> bool {
        self.runners[runner].claims.iter().flatten().any(|claim| {
            claim.lease == lease && !matches!(claim.stage, ClaimStage::Sent | ClaimStage::Answered { .. })
        })
    }
}

impl Job {
    /// The running row with this token.
    pub(crate) fn row(&self, token: Token) -> Option<Running> {
        self.running
            .iter()
            .flatten()
            .find(|row| row.token == token)
            .copied()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.iter().any(Option::is_some)
    }

    pub(crate) fn remove_row(&mut self, token: Token) {
        for row in &mut self.running {
            if row.is_some_and(|row| row.token == token) {
                *row = None;
            }
        }
        self.running.sort_by_key(|row| row.is_none());
    }

    /// How many states it is in.
    pub(crate) fn states(&self) -> usize {
        let waits_in_line =
            self.line && !self.is_running() && !self.scheduled && self.held == Held::No && !self.dead;
        self.running.iter().flatten().count()
            + [
                self.ready,
                self.scheduled,
                self.held != Held::No,
                self.dead,
                waits_in_line,
            ]
            .iter()
            .filter(|is| **is)
            .count()
    }
}
