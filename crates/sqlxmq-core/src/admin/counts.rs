//! How many jobs there are, per channel and state.

use std::fmt;
use std::str::FromStr;

use sqlx::{Executor, Postgres};

use crate::error::{AdminError, UnknownJobState};
use crate::store::operator;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Spawned with a commit interval, not committed yet.
    Held,
    /// Waiting for its delay or its backoff to pass.
    Scheduled,
    /// Waiting to be claimed.
    Ready,
    /// Claimed by a runner.
    Running,
    /// Out of attempts.
    Dead,
}

impl JobState {
    /// Returns the state as SQL names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = UnknownJobState;

    fn from_str(state: &str) -> Result<Self, Self::Err> {
        [
            Self::Held,
            Self::Scheduled,
            Self::Ready,
            Self::Running,
            Self::Dead,
        ]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| UnknownJobState {
            state: state.to_owned(),
        })
    }
}

/// How many jobs of a channel are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelCount {
    /// The name of the channel.
    pub channel_name: String,
    /// The arguments of the channel.
    pub channel_args: String,
    /// The state.
    pub state: JobState,
    /// How many jobs.
    pub jobs: u64,
}

/// Returns how many jobs there are per channel and state, exact to within the last 10 s, or the last minute if to count them takes more than
/// a fifth of a second.
///
/// Channels without jobs in a state are left out.
///
/// # Errors
///
/// Returns an error if the statement fails, or if a newer schema has a state that this version does not know.
///
/// # Cancel safety
///
/// Cancel safe: it only reads.
pub async fn counts<'b, E: Executor<'b, Database = Postgres>>(
    executor: E,
) -> Result<Vec<ChannelCount>, AdminError> {
    let rows = operator::counts(executor)
        .await
        .map_err(AdminError::while_trying_to("count jobs"))?;
    rows.into_iter().map(ChannelCount::try_from).collect()
}

impl TryFrom<operator::CountRow> for ChannelCount {
    type Error = AdminError;

    fn try_from(row: operator::CountRow) -> Result<Self, AdminError> {
        Ok(Self {
            channel_name: row.channel_name,
            channel_args: row.channel_args,
            state: row.state.parse()?,
            jobs: row.jobs.unsigned_abs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_state_reads_back_as_it_is_written() {
        for state in [
            JobState::Held,
            JobState::Scheduled,
            JobState::Ready,
            JobState::Running,
            JobState::Dead,
        ] {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        let unknown = "paused".parse::<JobState>();
        assert_eq!(
            unknown,
            Err(UnknownJobState {
                state: "paused".to_owned()
            })
        );
    }

    proptest! {
        #[test]
        fn what_reads_as_a_state_is_written_like_it(text in "(held|scheduled|ready|running|dead)?.{0,2}|.*") {
            match text.parse::<JobState>() {
                Ok(state) => prop_assert_eq!(state.as_str(), text),
                Err(unknown) => prop_assert_eq!(unknown.state, text),
            }
        }
    }
}
