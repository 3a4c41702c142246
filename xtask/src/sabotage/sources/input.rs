//! What is checked before anything is stored or run.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "bounds of a job",
        without: "a job is stored that no claim can read, or that makes each of them fail",
        patch: &[
            (
                "spawn/check.rs",
                "Ok(number) if retries <= MAX_RETRIES => Ok(number)",
                "Ok(number) => Ok(number)",
            ),
            ("spawn/check.rs", "if duration > MAX_DURATION {", "if false {"),
        ],
        turns_red: &[
            "retries_are_counted_up_to_a_million",
            "durations_above_the_bound_are_refused",
        ],
    },
    Source {
        name: "context at start",
        without: "a job whose context is missing fails when it is claimed, and not at the start",
        patch: &[(
            "registry/check.rs",
            "find_map(|need| (need.0)(self))",
            "find_map(|need| (need.0)(self).filter(|_| false))",
        )],
        turns_red: &["missing_context_is_refused_for_the_jobs_that_are_run"],
    },
    Source {
        name: "options that are checked",
        without: "a runner with impossible options runs nothing, or asks without a pause",
        patch: &[("runner/options.rs", "if min == 0 || min > max {", "if false {")],
        turns_red: &["impossible_options_are_refused_with_a_reason"],
    },
];
