//! The kinds of jobs of a chaos run, and what each must end as.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Leaves its effect in the transaction that completes it.
    Plain,
    /// As plain, after its first two attempts returned an error.
    Failing,
    /// As plain, after its first attempt panicked.
    Panicking,
    /// As plain, and takes longer than the lease.
    Slow,
    /// Leaves one effect with a checkpoint and one with its completion, and fails in between.
    Checkpointed,
    /// Leaves its effect, and completes by itself: at least once is what is promised.
    Loose,
    /// Fails until it is dead.
    Doomed,
}

/// Enough for what the faults of a run take away.
const MANY_RETRIES: u32 = 100;
/// Told apart from the steps that must not be done again.
pub const LOOSE_STEP: i32 = 0;
const RETRIES_OF_THE_DOOMED: u32 = 2;

impl Kind {
    /// All of them, the common ones more than once.
    pub const MIX: [Kind; 40] = {
        let mut mix = [Kind::Plain; 40];
        mix[0] = Kind::Failing;
        mix[1] = Kind::Failing;
        mix[2] = Kind::Failing;
        mix[3] = Kind::Panicking;
        mix[4] = Kind::Panicking;
        mix[5] = Kind::Slow;
        mix[6] = Kind::Doomed;
        mix[7] = Kind::Loose;
        mix[8] = Kind::Loose;
        mix[9] = Kind::Loose;
        mix[10] = Kind::Loose;
        mix[11] = Kind::Checkpointed;
        mix[12] = Kind::Checkpointed;
        mix[13] = Kind::Checkpointed;
        mix[14] = Kind::Checkpointed;
        mix
    };

    /// The retries it is spawned with.
    pub fn retries(self) -> u32 {
        match self {
            Kind::Doomed => RETRIES_OF_THE_DOOMED,
            _ => MANY_RETRIES,
        }
    }

    /// The most attempts it can have.
    pub fn max_attempts(self) -> i32 {
        let extra = u32::from(self == Kind::Checkpointed);
        (self.retries() + 1 + extra).cast_signed()
    }

    /// The steps of which each leaves one effect.
    pub fn steps(self) -> &'static [i32] {
        match self {
            Kind::Doomed => &[],
            Kind::Checkpointed => &[1, 2],
            Kind::Loose => &[LOOSE_STEP],
            _ => &[1],
        }
    }

    /// Whether an effect may be there more than once.
    pub fn may_repeat(self) -> bool {
        self == Kind::Loose
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::str::FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Kind::MIX.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| anyhow::anyhow!("`{text}` is no kind of job"))
    }
}
