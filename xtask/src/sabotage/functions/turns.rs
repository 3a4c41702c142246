//! Ordered channels: lines and turns.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "ordered channel lock",
        without: "two claimers that see different heads start both",
        function: "mq_take_turns",
        patch: &[(
            "pg_try_advisory_xact_lock(mq_lock_base() # t.channel_key) as is_ours",
            "true as is_ours",
        )],
        turns_red: &["two_claimers_that_see_different_heads_start_one_job"],
    },
    Mechanism {
        name: "one at a time",
        without: "the next job of an ordered channel starts beside the one that runs",
        function: "mq_take_turns",
        patch: &[(
            "(select true from mq_running as r where r.channel_key = c.channel_key limit 1) is not null as is_running",
            "false as is_running",
        )],
        turns_red: &[
            "jobs_of_one_batch_run_in_the_order_of_the_array",
            "two_spawners_of_one_channel_do_not_wait_for_each_other",
        ],
    },
    Mechanism {
        name: "head that is delayed",
        without: "the job behind a delayed or held head is asked for instead",
        function: "mq_take_turns",
        patch: &[(
            "(select true from mq_scheduled as s where s.id = h.id limit 1) is null",
            "true",
        )],
        turns_red: &["a_delayed_a_held_and_a_backing_off_head_hold_the_others_back"],
    },
    Mechanism {
        name: "turn of the next in line",
        without: "an ordered channel stops when a job ends",
        function: "mq_leave_line",
        patch: &[(
            "perform mq_give_next_turns(ended.name_keys, ended.channel_name_keys, ended.channel_keys)",
            "null",
        )],
        turns_red: &["the_next_in_line_starts_when_the_job_before_it_is_cancelled"],
    },
    Mechanism {
        name: "turn while a head ends",
        without: "the turn of another name is used up while the head's end is open, and its job is stuck",
        function: "mq_take_turns",
        patch: &[(
            "r.channel_key = c.channel_key for key share skip locked) is null",
            "r.channel_key = c.channel_key limit 1) is null",
        )],
        turns_red: &["a_spawn_of_another_name_that_commits_while_the_head_completes_is_not_stuck"],
    },
    Mechanism {
        name: "turn while a held head goes",
        without: "the turn of another name is used up while a held head is being cancelled, and its job is stuck",
        function: "mq_take_turns",
        patch: &[(
            "where r.is_running or h.id is not null",
            "where r.is_running or h.id is not null and not exists (select from mq_held as d where d.id = h.id)",
        )],
        turns_red: &["a_spawn_of_another_name_that_commits_while_a_held_head_is_cancelled_is_not_stuck"],
    },
    Mechanism {
        name: "turn of an earlier head",
        without: "a job with a lower number that was committed late waits for whoever knows the name of a later one",
        function: "mq_give_heads_turns",
        patch: &[("where not l.id = any (but_for)", "where false")],
        turns_red: &[
            "a_job_of_another_name_that_is_first_in_line_while_a_later_one_is_released_is_not_stuck",
        ],
    },
    Mechanism {
        name: "turn after a death",
        without: "a dead job blocks its ordered channel",
        function: "mq_end_attempts",
        patch: &[("perform mq_leave_line(later.dead_ordered)", "null")],
        turns_red: &["a_dead_job_does_not_block_its_channel_and_comes_back_to_its_place"],
    },
    Mechanism {
        name: "turn after a deadly failure",
        without: "a job that was declared dead blocks its ordered channel",
        function: "mq_fail_as",
        patch: &[("perform mq_leave_line(buried.ordered)", "null")],
        turns_red: &["a_deadly_failure_gives_the_channel_its_turn_at_any_isolation_level"],
    },
    Mechanism {
        name: "trace in the line",
        without: "a cancel with an old snapshot removes a job that was claimed, and leaves its running row",
        function: "mq_start_heads",
        patch: &[(
            "update mq_line as l\n    set attempts = l.attempts\n    where l.ctid = any (array(select k.at from locked as k where starting[k.n]))\n    returning l.id, l.channel_key, l.attempts",
            "select l.id, l.channel_key, l.attempts\n    from mq_line as l\n    where l.ctid = any (array(select k.at from locked as k where starting[k.n]))",
        )],
        turns_red: &["an_older_snapshot_that_misses_the_move_is_told_to_try_again"],
    },
    Mechanism {
        name: "turn behind a completion",
        without: "an ordered channel stops when its next job is not for the runner that completes",
        function: "mq_claim_next_in_line",
        patch: &[(
            "perform mq_give_next_turns(ended.name_keys, ended.channel_name_keys, ended.channel_keys)",
            "null",
        )],
        turns_red: &["a_completion_leaves_a_next_in_line_of_an_unknown_name_to_others"],
    },
    Mechanism {
        name: "lease of a completion's claim",
        without: "a job is started under a lease that is over",
        function: "mq_claim_next_in_line",
        patch: &[(
            "if mq_hold_lease(mq_claim_next_in_line.runner, mq_claim_next_in_line.claim, false) then",
            "if true then",
        )],
        turns_red: &["a_completion_after_the_lease_starts_nothing"],
    },
    Mechanism {
        name: "lease that is not waited for",
        without: "a completion waits for whoever has its runner locked",
        function: "mq_hold_lease",
        patch: &[("for key share skip locked", "for key share")],
        turns_red: &["a_completion_does_not_wait_for_whoever_has_its_runner_locked"],
    },
    Mechanism {
        name: "lock of the next in line",
        without: "a job is started that somebody is about to cancel, or the completion waits for him",
        function: "mq_start_heads",
        patch: &[(
            "and starting[n] is not null\n      for update skip locked",
            "and starting[n] is not null",
        )],
        turns_red: &["a_next_in_line_that_is_being_cancelled_is_neither_waited_for_nor_started"],
    },
    Mechanism {
        name: "name of the next in line",
        without: "a runner starts a job that it does not know, and gives it back",
        function: "mq_claim_next_in_line",
        patch: &[("name_keys is null or head.name_key = any (name_keys)", "true")],
        turns_red: &["a_completion_leaves_a_next_in_line_of_an_unknown_name_to_others"],
    },
    Mechanism {
        name: "next in line that is not due",
        without: "a job of tomorrow starts today",
        function: "mq_claim_next_in_line",
        patch: &[("where not x.id = any (waiting)", "")],
        turns_red: &["a_completion_does_not_start_a_next_in_line_that_is_not_due"],
    },
    Mechanism {
        name: "pause of a channel",
        without: "an ordered channel with much to do keeps its place, and others wait",
        function: "mq_claim_next_in_line",
        patch: &[("where not ended.ids[n] = any (pausing) and", "where")],
        turns_red: &["an_ordered_channel_with_much_to_do_does_not_keep_its_place"],
    },
    Mechanism {
        name: "size of what comes with a completion",
        without: "a completion brings as many bytes as the next in line have",
        function: "mq_claim_next_in_line",
        patch: &[
            ("and w.bytes <= mq_small_bytes()", ""),
            ("where w.bytes_so_far <= mq_small_bytes() + 12288", ""),
        ],
        turns_red: &[
            "a_completion_leaves_large_payloads_to_claims",
            "a_completion_starts_as_many_of_the_next_in_line_as_their_payloads_allow",
        ],
    },
];
