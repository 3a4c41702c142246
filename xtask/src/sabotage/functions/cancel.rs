//! How a job is found and cancelled.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "cancel of a running job",
        without: "a job that was cancelled while it ran is not told that its lease is lost",
        function: "mq_cancel_free",
        patch: &[(
            "delete from mq_running as r using picked as p\n    where r.runner = p.runner and r.claim = p.claim and r.id = p.id\n    returning r.id",
            "select p.id from picked as p",
        )],
        turns_red: &["a_cancelled_job_can_not_complete_and_its_transaction_is_rolled_back"],
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
