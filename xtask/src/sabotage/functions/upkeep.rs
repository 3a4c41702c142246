//! What is done for all jobs at once.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "counts of much",
        without: "counts of a large queue at rest are made anew by each who asks",
        function: "mq_refresh_counts",
        patch: &[("> little", "is null")],
        turns_red: &["counts_of_much_are_noted_although_nothing_has_changed_and_those_of_little_are_not"],
    },
    Mechanism {
        name: "index for what is due",
        without: "each look for due jobs reads all that are scheduled",
        function: "mq_promote",
        patch: &[("(select mq_now())", "clock_timestamp()")],
        turns_red: &["looking_for_due_jobs_does_not_read_those_that_are_not_due"],
    },
    Mechanism {
        name: "nothing is truncated",
        without: "upkeep stands still under a dump, or readers behind upkeep",
        function: "mq_promote",
        patch: &[(
            "promoted := 0;",
            "promoted := 0;\n  if false then\n    truncate mq_leftovers;\n  end if;",
        )],
        turns_red: &["no_function_truncates_or_locks_a_table"],
    },
];
