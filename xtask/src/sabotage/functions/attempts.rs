//! How attempts are counted, and what is kept of them.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "errors that are kept",
        without: "the errors of a job grow without bound",
        function: "mq_end_attempts",
        patch: &[("desc offset 19", "desc offset 99")],
        turns_red: &["the_last_twenty_errors_of_a_job_are_kept"],
    },
    Mechanism {
        name: "last attempt",
        without: "a job is tried for ever",
        function: "mq_end_attempts",
        patch: &[(
            "e.attempt >= j.max_attempts + coalesce(c.extra_attempts, 0) as is_dead",
            "false as is_dead",
        )],
        turns_red: &[
            "a_runner_that_dies_with_the_last_attempt_leaves_a_dead_job_with_the_reason",
            "a_checkpoint_gives_no_attempt_that_was_not_asked_for",
        ],
    },
    Mechanism {
        name: "attempt that is not used",
        without: "a job that was claimed and not run has one attempt less",
        function: "mq_release",
        patch: &[("r.attempt - 1 as attempts", "r.attempt as attempts")],
        turns_red: &[
            "a_runner_that_stops_while_it_claims_leaves_no_job_behind",
            "after_the_grace_jobs_are_cancelled_and_given_back_without_an_attempt",
            "a_clean_end_gives_the_jobs_back_with_no_attempt_used",
        ],
    },
    Mechanism {
        name: "backoff",
        without: "the pause between attempts does not grow",
        function: "mq_backoff",
        patch: &[("LEAST((attempt - 1), 62)", "0")],
        turns_red: &["a_failing_job_is_retried_with_backoff_and_dies"],
    },
];
