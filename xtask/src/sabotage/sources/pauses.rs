//! How long a runner waits.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "poll while asleep",
        without: "a runner that missed a notification sleeps on",
        patch: &[(
            "runner/plan.rs",
            ".map_or(poll_interval, |pause| pause.min(poll_interval))",
            ".map_or(poll_interval * 3600, |pause| pause)",
        )],
        turns_red: &["asleep_it_claims_once_more_and_then_each_poll_interval"],
    },
    Source {
        name: "longest pause",
        without: "after an outage a runner waits for much longer than the outage was",
        patch: &[("backoff.rs", ".min(LONGEST);", ";")],
        turns_red: &[
            "the_pause_doubles_up_to_five_seconds",
            "no_number_of_failures_leaves_the_bounds",
        ],
    },
    Source {
        name: "failures that saturate",
        without: "the pause after many failures overflows, and the loop ends",
        patch: &[(
            "backoff.rs",
            "1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)",
            "1_u32 << self.failures",
        )],
        turns_red: &["no_number_of_failures_leaves_the_bounds"],
    },
    Source {
        name: "deadline of a statement",
        without: "a half-open connection is waited for until the system gives up, minutes later",
        patch: &[(
            "runner/session.rs",
            "tokio::time::timeout(deadline, answer)",
            "tokio::time::timeout(deadline * 100, answer)",
        )],
        turns_red: &["silent_connections_are_replaced_within_fifteen_seconds_and_no_job_is_lost"],
    },
    Source {
        name: "end of the grace",
        without: "a runner that stops during an outage goes on for minutes",
        patch: &[(
            "runner/supervise.rs",
            "() = grace_over(&mut stopped, LAST_CLAIM) => {}",
            "() = grace_over(&mut stopped, LAST_CLAIM * 100) => {}",
        )],
        turns_red: &["stopping_during_an_outage_takes_the_grace_and_a_few_seconds"],
    },
];
