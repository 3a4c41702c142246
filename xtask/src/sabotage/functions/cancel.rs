//! How a job is found and cancelled.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "cancel of a running job",
        without: "a job that was cancelled while it ran is not told that its lease is lost",
        function: "mq_cancel_free",
        patch: &[(
            "delete from mq_running as r where r.ctid = any (array(select p.at from picked as p)) returning r.id",
            "select r.id from mq_running as r where r.ctid = any (array(select p.at from picked as p))",
        )],
        turns_red: &["a_cancelled_job_can_not_complete_and_its_transaction_is_rolled_back"],
    },
    Mechanism {
        name: "the others of a run",
        without: "a job that is cancelled takes the jobs with it that were spawned together with it",
        function: "mq_leave_runs",
        patch: &[("where not i = any (mq_leave_runs.ids)", "where false")],
        turns_red: &["a_job_is_cancelled_out_of_a_run_and_the_others_stay"],
    },
    Mechanism {
        name: "order of runs",
        without: "two cancellations of jobs in the same runs wait for each other",
        function: "mq_cancel",
        patch: &[(
            "select r.id, r.lowest_id from mq_runs_of(wanted) as r",
            "select r.id, null from mq_runs_of(wanted) as r",
        )],
        turns_red: &["a_cancellation_that_waits_for_a_run_holds_none_behind_it"],
    },
    Mechanism {
        name: "a cancel that gives up",
        without: "a cancel that can't get hold of a job says that it is gone, and it goes on",
        function: "mq_cancel",
        patch: &[(
            "if cardinality(wanted) > 0 then\n    raise",
            "if false then\n    raise",
        )],
        turns_red: &["a_cancellation_that_finds_an_open_claim_again_and_again_says_so"],
    },
    Mechanism {
        name: "a cancel that follows",
        without: "a cancel misses a job that goes back to ready while it looks",
        function: "mq_cancel",
        patch: &[("while in_vain < 100 loop", "while in_vain < 1 loop")],
        turns_red: &["a_cancellation_follows_a_job_that_was_released_meanwhile"],
    },
];
