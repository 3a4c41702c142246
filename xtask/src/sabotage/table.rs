//! Which mechanism holds what: each row takes one away, and names the tests that must notice.
//!
//! A row without tests is a promise that nothing holds yet; `cargo xtask sabotage` fails on it.

/// A mechanism, how it is taken away, and what must turn red then.
pub struct Mechanism {
    /// Two or three words for the report.
    pub name: &'static str,
    /// What goes wrong without it.
    pub without: &'static str,
    /// The function that has it, all of whose overloads are looked at, or the view, as the server spells it.
    pub function: &'static str,
    /// What to replace in the function's definition, as `pg_get_functiondef` prints it, and by what. It is an
    /// error if the text is no longer there.
    pub patch: &'static [(&'static str, &'static str)],
    /// The tests that must fail, by the last part of their path.
    pub turns_red: &'static [&'static str],
}

/// All of them, in the order of a job's life.
pub const MECHANISMS: &[Mechanism] = &[
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
        name: "wake-up",
        without: "a sleeping runner waits for its poll interval",
        function: "mq_wake",
        patch: &[("perform pg_notify(mq_wake_channel(), bucket::text)", "null")],
        turns_red: &[
            "a_spawn_notifies_a_runner_that_sleeps",
            "committing_releasing_and_requeueing_wake",
        ],
    },
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
        name: "lease of a claim",
        without: "an incarnation whose lease is over goes on claiming",
        function: "mq_hold_lease",
        patch: &[("found and expires > clock_timestamp()", "found")],
        turns_red: &["a_runner_whose_lease_is_over_claims_nothing"],
    },
    Mechanism {
        name: "lock of a claim's lease",
        without: "the reaper misses the jobs of a claim in flight, and they run for ever",
        function: "mq_hold_lease",
        patch: &[("for key share", "")],
        turns_red: &["a_claim_in_flight_is_not_left_without_its_runner"],
    },
    Mechanism {
        name: "claims older than an audit",
        without: "a claim that arrives late is never searched for, and its jobs run for ever",
        function: "mq_hold_lease",
        patch: &[("and mq_hold_lease.claim >= first", "")],
        turns_red: &["a_claim_that_arrives_after_an_audit_has_left_it_behind_claims_nothing"],
    },
    Mechanism {
        name: "lock of an audit",
        without: "a claim that its runner has given up commits behind the audit, and its jobs run for ever",
        function: "mq_audit",
        patch: &[("may_leave_behind := found", "may_leave_behind := true")],
        turns_red: &[
            "a_claim_that_is_still_at_work_when_its_runner_has_given_it_up_is_found_by_a_later_audit",
        ],
    },
    Mechanism {
        name: "names of a claim",
        without: "an old program claims jobs of names that it can't run",
        function: "mq_claim_by_name",
        patch: &[(
            "unnest(coalesce(name_keys, mq_all_names()))",
            "unnest(mq_all_names())",
        )],
        turns_red: &[
            "names_that_are_unknown_here_are_left_to_others",
            "a_claim_takes_only_names_it_knows_however_many_others_wait",
        ],
    },
    Mechanism {
        name: "skip locked",
        without: "claims wait for each other's rows",
        function: "mq_claim_by_name",
        patch: &[("for update skip locked", "for update")],
        turns_red: &["a_claimed_job_is_not_claimed_twice"],
    },
    Mechanism {
        name: "share of a name",
        without: "a claim takes more jobs than its runner has asked for",
        function: "mq_claim_by_name",
        patch: &[
            (
                "limit greatest((max_jobs + r.names_ready - 1 - place) / r.names_ready, 1)",
                "limit greatest(max_jobs, 0) + 0",
            ),
            ("    limit greatest(max_jobs, 0)\n", "\n"),
        ],
        turns_red: &["a_claim_never_takes_more_than_it_asked_for"],
    },
    Mechanism {
        name: "bytes of a claim",
        without: "one claim fetches more payload than its runner has asked for",
        function: "mq_claim_by_name",
        patch: &[("s.before < max_bytes and", "")],
        turns_red: &["a_claim_is_bounded_in_bytes_but_takes_one_job_of_any_size"],
    },
    Mechanism {
        name: "a row of each name",
        without: "names whose rows somebody holds hide the others from small claims",
        function: "mq_claim_by_name",
        patch: &[(
            "limit greatest((max_jobs + r.names_ready - 1 - place) / r.names_ready, 1)",
            "limit (max_jobs + r.names_ready - 1 - place) / r.names_ready",
        )],
        turns_red: &["a_claim_of_fewer_jobs_than_names_passes_over_those_whose_rows_are_locked"],
    },
    Mechanism {
        name: "marks of small claims",
        without: "claims that a spawn has woken walk over everything that was taken before",
        function: "mq_claim_by_name",
        patch: &[(
            "marking < cardinality(picked_tags)",
            "marking * 1000 < cardinality(picked_tags)",
        )],
        turns_red: &["claims_of_single_jobs_leave_marks"],
    },
    Mechanism {
        name: "schedule of those who sleep",
        without: "a due job that nobody was told of waits until a sleeping runner reads the schedule",
        function: "mq_claim_by_name",
        patch: &[("due := asleep and mq_is_due()", "due := false")],
        turns_red: &["a_claim_that_finds_nothing_says_whether_something_is_due"],
    },
    Mechanism {
        name: "names inside the walk",
        without: "a claim by channel walks over the jobs of names that it does not know",
        function: "mq_pick_by_channel",
        patch: &[
            (
                "where q.channel_name_key = f.channel_name and q.name_key = f.name and q.channel_key = f.channel",
                "where q.channel_name_key = f.channel_name and q.name_key + 0 = f.name and q.channel_key = f.channel",
            ),
            (
                "where q.channel_name_key = c.channel_name_key and q.name_key = n.name_key",
                "where q.channel_name_key = c.channel_name_key and q.name_key + 0 = n.name_key",
            ),
        ],
        turns_red: &["a_claim_by_channel_does_not_read_jobs_of_names_it_does_not_know"],
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
        name: "counts of much",
        without: "counts of a large queue at rest are made anew by each who asks",
        function: "mq_refresh_counts",
        patch: &[("> little", "is null")],
        turns_red: &["counts_of_much_are_noted_although_nothing_has_changed_and_those_of_little_are_not"],
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
        function: "mq_claim_by_name",
        patch: &[("when sweep then mark.safe_tag", "when false then mark.safe_tag")],
        turns_red: &["a_spawn_that_commits_late_is_found_below_the_mark"],
    },
    Mechanism {
        name: "ordered channel lock",
        without: "two claimers that see different heads start both",
        function: "mq_take_turns",
        patch: &[(
            "where pg_try_advisory_xact_lock(mq_lock_base() # c.channel_key)",
            "",
        )],
        turns_red: &["two_claimers_that_see_different_heads_start_one_job"],
    },
    Mechanism {
        name: "one at a time",
        without: "the next job of an ordered channel starts beside the one that runs",
        function: "mq_take_turns",
        patch: &[("where not c.channel_key = any (running)", "")],
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
            "not exists (select from mq_scheduled as s where s.id = h.id)",
            "true",
        )],
        turns_red: &["a_delayed_a_held_and_a_backing_off_head_hold_the_others_back"],
    },
    Mechanism {
        name: "durable second attempts",
        without: "a job that kills the database is tried again without end",
        function: "mq_secure_claim",
        patch: &[("perform set_config('synchronous_commit', 'on', true)", "null")],
        turns_red: &["a_later_attempt_is_claimed_durably"],
    },
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
        without: "a completion goes on with a fence that is gone by the time it writes",
        function: "mq_fence",
        patch: &[("for update of r\n      ) as r", ") as r")],
        turns_red: &["a_completion_that_waited_for_the_reaper_is_refused"],
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
        name: "turn of the next in line",
        without: "an ordered channel stops when a job ends",
        function: "mq_leave_line",
        patch: &[(
            "perform mq_make_ready(next_ids, array_fill(0, array[cardinality(next_ids)]))",
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
            "where not c.channel_key = any (running)\n  ) as h;",
            "where not c.channel_key = any (running)\n  ) as h where h.is_due or not h.is_known;",
        )],
        turns_red: &["a_spawn_of_another_name_that_commits_while_a_held_head_is_cancelled_is_not_stuck"],
    },
    Mechanism {
        name: "turn of an earlier head",
        without: "a job with a lower number that was committed late waits for whoever knows the name of a later one",
        function: "mq_give_heads_turns",
        patch: &[("where not head.id = any (but_for)", "where false")],
        turns_red: &[
            "a_job_of_another_name_that_is_first_in_line_while_a_later_one_is_released_is_not_stuck",
        ],
    },
    Mechanism {
        name: "owner of a checkpoint",
        without: "a job begins at the checkpoint of an earlier one of the same id",
        function: "mq_work",
        patch: &[(" AND (c.spawned_at = j.spawned_at)", "")],
        turns_red: &[
            "a_job_of_a_reused_id_does_not_begin_at_the_checkpoint_of_the_one_that_ended_with_a_snapshot",
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
        name: "errors that are kept",
        without: "the errors of a job grow without bound",
        function: "mq_end_attempts",
        patch: &[("desc offset 19", "desc offset 99")],
        turns_red: &["the_last_twenty_errors_of_a_job_are_kept"],
    },
    Mechanism {
        name: "fence of failures as told",
        without: "a zombie kills, hurries or delays the job it has lost",
        function: "mq_fail_as",
        patch: &[
            ("if cardinality(failed) = 0 then", "if false then"),
            (" and t.id = any (mq_fail_as.failed)", ""),
        ],
        turns_red: &["a_stale_token_fails_nothing_whatever_it_tells"],
    },
    Mechanism {
        name: "turn after a deadly failure",
        without: "a job that was declared dead blocks its ordered channel",
        function: "mq_fail_as",
        patch: &[("perform mq_leave_line(buried.ordered)", "null")],
        turns_red: &["a_deadly_failure_gives_the_channel_its_turn_at_any_isolation_level"],
    },
    Mechanism {
        name: "length of a lease",
        without: "the jobs of a runner that died wait for longer than its lease",
        function: "mq_register",
        patch: &[("mq_now() + lease", "mq_now() + lease * 2")],
        turns_red: &["the_jobs_of_a_runner_that_died_are_run_by_another_within_its_lease_and_two_seconds"],
    },
    Mechanism {
        name: "deadline of a renewal",
        without: "a renewal that arrives late brings a lease back that others have seen end",
        function: "mq_renew",
        patch: &[("and r.expires_at > clock_timestamp()", "")],
        turns_red: &["a_lease_that_is_over_is_not_renewed"],
    },
    Mechanism {
        name: "audit",
        without: "a job whose claim was never answered runs for as long as its runner lives",
        function: "mq_audit",
        patch: &[("if strays is not null then", "if false then")],
        turns_red: &["the_audit_fails_what_the_runner_does_not_hold_and_tells_what_it_lost"],
    },
    Mechanism {
        name: "second witness of a reap",
        without: "a runner that has renewed since it was watched is reaped",
        function: "mq_reap",
        patch: &[
            ("i.runner = s.runner and i.beat = s.beat", "i.runner = s.runner"),
            (
                "and i.beat = (select s.beat from unnest(runners, beats) as s (runner, beat) where s.runner = dead_runner limit 1)",
                "",
            ),
        ],
        turns_red: &["the_jobs_of_a_runner_that_is_gone_are_ready_at_once_with_the_attempt_used"],
    },
    Mechanism {
        name: "first witness of a reap",
        without: "a runner that renews in time is reaped",
        function: "mq_reap",
        patch: &[("and i.expires_at <= clock_timestamp()", "")],
        turns_red: &["the_jobs_of_a_runner_that_is_gone_are_ready_at_once_with_the_attempt_used"],
    },
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
        name: "trace in the line",
        without: "a cancel with an old snapshot removes a job that was claimed, and leaves its running row",
        function: "mq_take_turns",
        patch: &[(
            "update mq_line as l\n    set attempts = l.attempts\n    from locked as k\n    where l.channel_key = k.channel_key and l.number = k.number and k.id = any (heads)\n    returning l.id, l.channel_key, l.attempts",
            "select l.id, l.channel_key, l.attempts\n    from mq_line as l join locked as k on l.channel_key = k.channel_key and l.number = k.number and k.id = any (heads)",
        )],
        turns_red: &["an_older_snapshot_that_misses_the_move_is_told_to_try_again"],
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
    Mechanism {
        name: "spawns in flight",
        without: "a commit of held jobs that is open while a runner falls asleep is not waited for",
        function: "mq_in_flight",
        patch: &[
            ("'mq_ready'::regclass", "'mq_jobs'::regclass"),
            ("'mq_scheduled'::regclass", "'mq_jobs'::regclass"),
        ],
        turns_red: &["an_open_commit_of_held_jobs_is_seen_in_flight"],
    },
    Mechanism {
        name: "a cancel that follows",
        without: "a cancel misses a job that goes back to ready while it looks",
        function: "mq_cancel",
        patch: &[("while in_vain < 100 loop", "while in_vain < 1 loop")],
        turns_red: &["a_cancellation_follows_a_job_that_was_released_meanwhile"],
    },
    Mechanism {
        name: "isolation of a claim",
        without: "a runner's function that misses rows which moved since its snapshot goes on",
        function: "mq_require_read_committed",
        patch: &[("not in ('read committed', 'read uncommitted')", "in ('none')")],
        turns_red: &["a_claim_in_another_isolation_level_is_refused"],
    },
    Mechanism {
        name: "probe for sleepers",
        without: "every spawn notifies, which takes a lock of the whole database in its commit",
        function: "mq_wake",
        patch: &[("if is_slept_on and", "if true and")],
        turns_red: &["a_sleeper_of_other_names_does_not_make_a_busy_queue_notify"],
    },
    Mechanism {
        name: "probe in one expression",
        without: "a spawn that is cancelled while it probes leaves its lock, and no runner falls asleep beside it",
        function: "mq_wake",
        patch: &[(
            "is_slept_on := not case\n      when pg_try_advisory_lock(base + bucket) then pg_advisory_unlock(base + bucket)\n      else false\n    end;",
            "is_slept_on := not pg_try_advisory_lock(base + bucket);\n    if not is_slept_on then\n      perform pg_advisory_unlock(base + bucket);\n    end if;",
        )],
        turns_red: &["a_spawn_that_is_cancelled_while_it_probes_for_sleepers_leaves_no_lock"],
    },
    Mechanism {
        name: "room for notifications",
        without: "commits fail when nobody reads the notifications, until there is room again",
        function: "mq_wake",
        patch: &[(
            "if is_slept_on and pg_notification_queue_usage() < 0.5 then",
            "if is_slept_on then",
        )],
        turns_red: &["nobody_is_notified_while_the_queue_of_notifications_is_half_full"],
    },
    Mechanism {
        name: "notify that is off",
        without: "a transaction that spawned can't be prepared",
        function: "mq_wake",
        patch: &[(
            "if current_setting('sqlxmq.notify', true) = 'off' then",
            "if false then",
        )],
        turns_red: &["notifying_can_be_switched_off_for_prepared_transactions"],
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
    Mechanism {
        name: "durable completions",
        without: "a completion makes its caller's transaction asynchronous",
        function: "mq_complete",
        patch: &[(
            "completed := '{}';",
            "completed := '{}'; perform set_config('synchronous_commit', 'off', true);",
        )],
        turns_red: &["no_function_but_a_claim_changes_how_durable_its_callers_transaction_is"],
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
    Mechanism {
        name: "one job row each",
        without: "a completion that removed no job succeeds",
        function: "mq_forget",
        patch: &[("if cardinality(gone) <> cardinality(ids) then", "if false then")],
        turns_red: &["a_running_row_without_its_job_is_told_and_not_taken_for_a_completion"],
    },
    Mechanism {
        name: "last attempt",
        without: "a job is tried for ever",
        function: "mq_end_attempts",
        patch: &[(
            "e.attempt >= j.max_attempts + coalesce(c.extra_attempts, 0) as is_dead",
            "false as is_dead",
        )],
        turns_red: &[
            "a_runner_that_dies_with_the_last_attempt_leaves_a_dead_job_with_the_reason",
            "a_checkpoint_gives_no_attempt_that_was_not_asked_for",
        ],
    },
    Mechanism {
        name: "clean end",
        without: "a runner that ends leaves its jobs to the reaper, and an attempt is used",
        function: "mq_unregister",
        patch: &[(
            "ids := mq_release(mq_unregister.runner, ids, claims, interval '0');",
            "ids := '{}';",
        )],
        turns_red: &["a_clean_end_gives_the_jobs_back_with_no_attempt_used"],
    },
    Mechanism {
        name: "attempt that is not used",
        without: "a job that was claimed and not run has one attempt less",
        function: "mq_release",
        patch: &[("r.attempt - 1 as attempts", "r.attempt as attempts")],
        turns_red: &[
            "a_runner_that_stops_while_it_claims_leaves_no_job_behind",
            "after_the_grace_jobs_are_cancelled_and_given_back_without_an_attempt",
            "a_clean_end_gives_the_jobs_back_with_no_attempt_used",
        ],
    },
    Mechanism {
        name: "backoff",
        without: "the pause between attempts does not grow",
        function: "mq_backoff",
        patch: &[("LEAST((attempt - 1), 62)", "0")],
        turns_red: &["a_failing_job_is_retried_with_backoff_and_dies"],
    },
    Mechanism {
        name: "index access only",
        without: "serializable callers that complete different jobs abort each other",
        function: "mq_forget",
        patch: &[("SET enable_seqscan TO 'off'", "SET enable_indexscan TO 'off'")],
        turns_red: &["serializable_callers_that_complete_different_jobs_do_not_abort_each_other"],
    },
    Mechanism {
        name: "small payloads",
        without: "who is slow to read the payloads of a claim holds its locks as long",
        function: "mq_small_bytes",
        patch: &[("16384", "163840000")],
        turns_red: &["a_claim_returns_small_payloads_only_and_not_many_of_them"],
    },
];
