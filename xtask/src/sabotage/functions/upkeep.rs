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
        name: "share of the counts",
        without: "where to count takes its time, it is counted all the time",
        function: "mq_refresh_counts",
        patch: &[("a.took * 20", "interval '0'")],
        turns_red: &["a_count_that_took_long_is_good_for_longer"],
    },
    Mechanism {
        name: "counts from the marks on",
        without: "a count reads what was claimed as long as xmin is pinned",
        function: "mq_count_ready",
        patch: &[(" and q.tag >= m.safe_tag", "")],
        turns_red: &["the_end_of_a_runner_and_a_count_do_not_read_what_it_has_long_completed"],
    },
    Mechanism {
        name: "names without marks",
        without: "ready jobs of names that have no mark yet are not counted",
        function: "mq_count_ready",
        patch: &[(
            "q.name_key > coalesce(gap.after",
            "q.name_key < coalesce(gap.after",
        )],
        turns_red: &["ready_jobs_are_counted_whether_their_names_have_marks_or_not"],
    },
    Mechanism {
        name: "counts of what runs",
        without: "a count reads what runners have completed as long as xmin is pinned",
        function: "mq_count_now",
        patch: &[(" and r.claim >= i.first_claim", "")],
        turns_red: &["the_end_of_a_runner_and_a_count_do_not_read_what_it_has_long_completed"],
    },
    Mechanism {
        name: "where the reaper begins",
        without: "a runner that died under a pin is never reaped: to find its jobs takes longer than a statement may",
        function: "mq_reap",
        patch: &[(" and r.claim >= search_from", "")],
        turns_red: &["the_end_of_a_runner_and_a_count_do_not_read_what_it_has_long_completed"],
    },
    Mechanism {
        name: "where a goodbye begins",
        without: "a runner that stops under a pin does not give its jobs back in time",
        function: "mq_unregister",
        patch: &[(" and r.claim >= search_from", "")],
        turns_red: &["the_end_of_a_runner_and_a_count_do_not_read_what_it_has_long_completed"],
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
