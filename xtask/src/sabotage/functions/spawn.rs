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
    Mechanism {
        name: "what a batch shares",
        without: "of jobs that share a payload and are ordered or wait, only the first has it",
        function: "mq_spawn_all",
        patch: &[(
            "payloads_json := case cardinality(payloads_json) when 1 then array_fill(payloads_json[1], array[jobs]) else payloads_json end;",
            "",
        )],
        turns_red: &[
            "an_array_with_one_element_is_for_all_jobs_and_one_with_too_few_is_refused",
            "a_job_that_differs_from_the_others_of_its_batch_is_stored_as_if_alone",
        ],
    },
    Mechanism {
        name: "bound of a wait",
        without: "a job that SQL has delayed for 290,000 years is accepted",
        function: "mq_check_waits",
        patch: &[("if found then", "if false then")],
        turns_red: &[
            "what_sql_callers_give_is_refused_at_the_boundary_or_harms_nobody",
            "a_wait_that_is_too_long_is_refused_with_a_hint",
        ],
    },
    Mechanism {
        name: "past of any length",
        without: "a job whose time was long ago is refused by the database, and its caller's transaction with it",
        function: "mq_spawn_all_at",
        patch: &[("greatest(0, d.due_us)", "d.due_us")],
        turns_red: &["a_job_of_any_past_is_due_at_once"],
    },
];
