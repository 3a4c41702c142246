//! What a token fences, and how.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "token",
        without: "a runner that lost its job completes the attempt of another one",
        function: "mq_fence",
        patch: &[(
            "r.runner = mq_fence.runner and r.claim = t.claim and r.id = t.id",
            "r.id = t.id",
        )],
        turns_red: &[
            "a_stale_token_completes_nothing",
            "the_same_runner_claiming_again_does_not_revive_its_older_token",
        ],
    },
    Mechanism {
        name: "fence that locks",
        without: "a failure goes on with a fence that is gone by the time it writes",
        function: "mq_fence",
        patch: &[("for update of r\n      ) as r", ") as r")],
        turns_red: &["a_failure_that_waited_for_the_reaper_is_refused"],
    },
    Mechanism {
        name: "order of a fence",
        without: "two completions of the same jobs in opposite order deadlock",
        function: "mq_fence",
        patch: &[(
            "select distinct ids[n] as id, claims[n] as claim from generate_subscripts(ids, 1) as n order by ids[n], claims[n]",
            "select ids[n] as id, claims[n] as claim from generate_subscripts(ids, 1) as n",
        )],
        turns_red: &["a_completion_locks_its_jobs_in_the_order_of_their_ids_and_not_in_its_callers"],
    },
    Mechanism {
        name: "token of free rows",
        without: "a job whose row nobody has locked is completed by whoever asks",
        function: "mq_end_running",
        patch: &[(
            "t.runner = mq_end_running.runner and t.claim = claims[n] and t.id = ids[n]",
            "t.id = ids[n]",
        )],
        turns_red: &[
            "a_stale_token_completes_nothing",
            "the_same_runner_claiming_again_does_not_revive_its_older_token",
        ],
    },
    Mechanism {
        name: "token of one job",
        without: "a job that is completed alone is completed by whoever asks",
        function: "mq_end_running",
        patch: &[(
            "r.runner = mq_end_running.runner and r.claim = claims[1] and r.id = ids[1]",
            "r.id = ids[1]",
        )],
        turns_red: &[
            "a_stale_token_completes_nothing",
            "the_same_runner_claiming_again_does_not_revive_its_older_token",
        ],
    },
    Mechanism {
        name: "free row of one job",
        without: "a flush of one job waits for a user's open transaction",
        function: "mq_end_running",
        patch: &[("(wait or r.xmax = 0)", "true")],
        turns_red: &["a_flush_passes_over_a_job_that_another_transaction_completes"],
    },
    Mechanism {
        name: "what one job leaves",
        without: "a job that is completed alone leaves its errors behind",
        function: "mq_forget",
        patch: &[(
            "and not exists (select from mq_errors as e where e.id = ids[1])",
            "",
        )],
        turns_red: &["a_completed_job_leaves_nothing_behind"],
    },
    Mechanism {
        name: "free rows",
        without: "completions of many jobs wait for whoever has locked one of them",
        function: "mq_end_running",
        patch: &[("and t.xmax = 0", "")],
        turns_red: &["a_flush_passes_over_a_job_that_another_transaction_completes"],
    },
    Mechanism {
        name: "fence that skips",
        without: "a flush of the completer waits for a user's open transaction",
        function: "mq_fence",
        patch: &[("for update of r skip locked", "for update of r")],
        turns_red: &["a_flush_passes_over_a_job_that_another_transaction_completes"],
    },
    Mechanism {
        name: "fence of a checkpoint",
        without: "a late checkpoint overwrites the one of a later attempt",
        function: "mq_checkpoint",
        patch: &[(
            "r.runner = mq_checkpoint.runner and r.claim = mq_checkpoint.claim and r.id",
            "r.id",
        )],
        turns_red: &["a_stale_token_completes_nothing"],
    },
    Mechanism {
        name: "fence of failures as told",
        without: "a zombie kills, hurries or delays the job it has lost",
        function: "mq_fail_as",
        patch: &[
            ("if cardinality(failed) = 0 then", "if false then"),
            (
                "unnest(ended.failed, ended.failed_claims) as f",
                "unnest(mq_fail_as.ids, claims) as f",
            ),
        ],
        turns_red: &["a_stale_token_fails_nothing_whatever_it_tells"],
    },
    Mechanism {
        name: "token of what was told",
        without: "an older token of a job that fails decides what comes next",
        function: "mq_fail_as",
        patch: &[("on t.id = f.id and t.claim = f.claim", "on t.id = f.id")],
        turns_red: &["what_a_stale_token_tells_beside_the_valid_one_is_not_listened_to"],
    },
    Mechanism {
        name: "checkpoints of what has run",
        without: "the next attempt of a job begins anew",
        function: "mq_claim_many",
        patch: &[("having bool_and(p.is_run) and", "having")],
        turns_red: &["the_next_attempt_continues_from_the_checkpoint"],
    },
    Mechanism {
        name: "owner of a checkpoint",
        without: "a job begins at the checkpoint of an earlier one of the same id",
        function: "mq_work",
        patch: &[(" AND (c.spawned_at = f.spawned_at)", "")],
        turns_red: &[
            "a_job_of_a_reused_id_does_not_begin_at_the_checkpoint_of_the_one_that_ended_with_a_snapshot",
        ],
    },
    Mechanism {
        name: "one job row each",
        without: "a completion that removed no job succeeds",
        function: "mq_forget",
        patch: &[("if cardinality(gone) <> cardinality(ids) then", "if false then")],
        turns_red: &["a_running_row_without_its_job_is_told_and_not_taken_for_a_completion"],
    },
    Mechanism {
        name: "durable completions",
        without: "a completion makes its caller's transaction asynchronous",
        function: "mq_complete",
        patch: &[(
            "completed := mq_forget(",
            "perform set_config('synchronous_commit', 'off', true); completed := mq_forget(",
        )],
        turns_red: &["no_function_but_a_claim_changes_how_durable_its_callers_transaction_is"],
    },
    Mechanism {
        name: "index access only",
        without: "serializable callers that complete different jobs abort each other",
        function: "mq_forget",
        patch: &[("SET enable_seqscan TO 'off'", "SET enable_indexscan TO 'off'")],
        turns_red: &["serializable_callers_that_complete_different_jobs_do_not_abort_each_other"],
    },
];
