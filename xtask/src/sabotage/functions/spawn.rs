//! What a spawn stores.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "clock",
        without: "deadlines count from the start of the caller's transaction",
        function: "mq_now",
        patch: &[("clock_timestamp()", "now()")],
        turns_red: &[
            "deadlines_count_from_the_statement_and_not_from_the_start_of_the_transaction",
            "delays_count_from_the_spawn_and_not_from_the_start_of_the_transaction",
        ],
    },
    Mechanism {
        name: "place of a batch",
        without: "ordered jobs of one batch run in any order",
        function: "mq_spawn_all",
        patch: &[("where ordered[n] order by n", "where ordered[n] order by n desc")],
        turns_red: &[
            "jobs_of_one_batch_run_in_the_order_of_the_array",
            "ordered_jobs_of_a_batch_are_in_line_as_in_the_slice",
        ],
    },
];
