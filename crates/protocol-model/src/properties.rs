//! What must hold in every state. The promise each belongs to is in `docs/design/model.md`.

use stateright::Property;

use crate::protocol::Protocol;
use crate::state::{Broken, End, MAX_JOBS, Stage, State};

pub(crate) fn properties() -> Vec<Property<Protocol>> {
    let never = Property::<Protocol>::always;
    vec![
        never(
            "an effect happens at most once, and exactly once if the job completed",
            |_, s| {
                s.jobs
                    .iter()
                    .all(|job| job.effects == u8::from(job.stage == Stage::Ended(End::Completed)))
            },
        ),
        never(
            "no job is lost: it is in one state exactly, until it ends",
            |_, s| {
                s.jobs
                    .iter()
                    .all(|job| job.states() == usize::from(job.stage == Stage::Stored))
            },
        ),
        never("a stale token changes nothing", |_, s| {
            !s.has_flag(Broken::StaleToken)
        }),
        never("attempts stay within their bound", |m, s| {
            s.jobs.iter().all(|job| {
                job.attempts <= m.config.max_attempts
                    && job
                        .running
                        .iter()
                        .flatten()
                        .all(|row| row.attempt <= m.config.max_attempts)
            })
        }),
        never("a second attempt is counted, whatever crashes", |_, s| {
            !s.has_flag(Broken::AttemptTwice)
        }),
        never(
            "an earlier ordered job has ended before a later one starts",
            |_, s| !s.has_flag(Broken::Order),
        ),
        never("an ordered channel has one valid claim at most", |m, s| {
            !m.config.ordered
                || s.jobs
                    .iter()
                    .map(|job| job.running.iter().flatten().count())
                    .sum::<usize>()
                    <= 1
        }),
        never("a held job is committed or expires, never both", |_, s| {
            s.jobs
                .iter()
                .all(|job| !(job.said_committed && job.stage == Stage::Ended(End::Expired)))
        }),
        never(
            "each running row is found by audit, cancel and reaper",
            running_rows_are_found,
        ),
        never(
            "no attempt is ended behind the back of a runner that is awake",
            |_, s| !s.has_flag(Broken::BehindItsBack),
        ),
        never(
            "nobody starts a job while a runner that is awake works on it",
            |_, s| !s.has_flag(Broken::TwoAtOnce),
        ),
        never("a lease that is over stays over", |_, s| {
            !s.has_flag(Broken::Revived)
        }),
        never("what a commit is said to have become is true", |_, s| {
            !s.has_flag(Broken::Lied)
        }),
        never(
            "once the faults end, every job that somebody can run ends",
            Protocol::ends_in_quiet,
        ),
    ]
}

fn running_rows_are_found(_: &Protocol, s: &State) -> bool {
    (0..MAX_JOBS)
        .flat_map(|job| s.jobs[job].running.iter().flatten())
        .all(|row| {
            let lease = &s.leases[row.token.runner as usize][row.token.lease as usize];
            lease.row && row.token.claim >= lease.first_claim
        })
}
