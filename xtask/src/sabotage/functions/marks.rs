//! Low-water marks.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "marks of small claims",
        without: "claims that a spawn has woken walk over everything that was taken before",
        function: "mq_claim_many",
        patch: &[("marking < picked_rows", "marking * 1000 < picked_rows")],
        turns_red: &["claims_of_single_jobs_leave_marks"],
    },
    Mechanism {
        name: "low-water mark",
        without: "a claim walks over all the dead rows that a long transaction keeps",
        function: "mq_advance_mark",
        patch: &[(
            "if not pg_try_advisory_xact_lock(mq_lock_base() # mq_advance_mark.name_key) then",
            "if true then",
        )],
        turns_red: &["a_claim_touches_a_bounded_number_of_buffers_whatever_the_dead_rows"],
    },
    Mechanism {
        name: "lowest visible row",
        without: "rows under a claim that rolls back fall below the mark",
        function: "mq_advance_mark",
        patch: &[("lowest := coalesce(lowest, reached)", "lowest := reached")],
        turns_red: &["a_claim_that_rolls_back_is_not_hidden_by_the_mark_of_another"],
    },
    Mechanism {
        name: "sweep",
        without: "a row that commits below the mark is never found",
        function: "mq_claim_many",
        patch: &[("when sweep then mark.safe_tag", "when false then mark.safe_tag")],
        turns_red: &["a_spawn_that_commits_late_is_found_below_the_mark"],
    },
    Mechanism {
        name: "age of a mark's proof",
        without: "a spawn with the newest transaction id is not waited for, and a mark hides its job",
        function: "mq_advance_mark",
        patch: &[(
            "next_safe := seen;\n    after := pg_current_xact_id();",
            "next_safe := seen;\n    after := pg_snapshot_xmax(pg_current_snapshot());",
        )],
        turns_red: &["a_spawn_with_the_newest_transaction_id_is_waited_for_too"],
    },
    Mechanism {
        name: "one mark at a time",
        without: "a claim waits for another claim that sets the same mark",
        function: "mq_advance_mark",
        patch: &[(
            "if not pg_try_advisory_xact_lock(mq_lock_base() # mq_advance_mark.name_key) then",
            "if false then",
        )],
        turns_red: &["a_claim_does_not_wait_for_one_that_sets_the_same_mark"],
    },
];
