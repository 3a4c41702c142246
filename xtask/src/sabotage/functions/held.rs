//! Jobs that are held until they are committed.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "expiry of held jobs",
        without: "a commit that comes too late succeeds",
        function: "mq_commit",
        patch: &[("and h.expires_at > clock_timestamp()", "")],
        turns_red: &[
            "an_expired_job_is_not_committed_even_before_anybody_removed_it",
            "commit_says_which_jobs_it_did_not_commit",
        ],
    },
    Mechanism {
        name: "expiry under the lock",
        without: "a job that is being committed when it expires is removed all the same",
        function: "mq_promote",
        patch: &[(
            "for update skip locked\n    ),\n    removed as (\n      delete from mq_held as h using picked as p\n      where h.id = p.id and h.expires_at <= clock_timestamp()\n      returning h.id\n    )",
            "),\n    removed as (\n      select p.id from picked as p\n    )",
        )],
        turns_red: &["a_job_is_either_committed_or_expired_never_both"],
    },
    Mechanism {
        name: "order of a commit",
        without: "two commits of the same jobs in opposite order deadlock",
        function: "mq_commit",
        patch: &[(
            "order by h.id for update",
            "order by array_position(mq_commit.ids, h.id) for update",
        )],
        turns_red: &["two_commits_of_the_same_jobs_in_opposite_order_do_not_deadlock"],
    },
];
