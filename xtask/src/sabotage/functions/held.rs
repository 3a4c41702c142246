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
            "for update skip locked\n    ),\n    removed as (\n      delete from mq_held as h\n      where h.ctid = any (array(select p.at from picked as p)) and h.expires_at <= clock_timestamp()\n      returning h.id\n    )",
            "),\n    removed as (\n      select h.id from mq_held as h where h.ctid = any (array(select p.at from picked as p))\n    )",
        )],
        turns_red: &["a_job_is_either_committed_or_expired_never_both"],
    },
    Mechanism {
        name: "deletion by address",
        without: "a commit reads all held jobs, if its plan was made when there were none",
        function: "mq_commit",
        patch: &[
            ("select h.ctid as at", "select h.id"),
            (
                "where h.ctid = any (array(select p.at from picked as p)) and",
                "using picked as p\n    where h.id = p.id and",
            ),
        ],
        turns_red: &["no_function_reads_the_jobs_it_is_not_asked_for"],
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
