//! How a spawn wakes those who sleep, and only them.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
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
        name: "probe for sleepers",
        without: "every spawn notifies, which takes a lock of the whole database in its commit",
        function: "mq_is_slept_on",
        patch: &[("ELSE false END)", "ELSE false END OR true)")],
        turns_red: &["a_sleeper_of_other_names_does_not_make_a_busy_queue_notify"],
    },
    Mechanism {
        name: "probe in one expression",
        without: "a spawn that is cancelled while it probes leaves its lock, and no runner falls asleep beside it",
        function: "mq_is_slept_on",
        patch: &[(
            "LANGUAGE sql\nRETURN (NOT CASE WHEN pg_try_advisory_lock((mq_lock_base() + bucket)) THEN pg_advisory_unlock((mq_lock_base() + bucket)) ELSE false END)",
            "LANGUAGE plpgsql\nas $$\nbegin\n  if pg_try_advisory_lock(mq_lock_base() + bucket) then\n    perform pg_advisory_unlock(mq_lock_base() + bucket);\n    return false;\n  end if;\n  return true;\nend $$",
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
        name: "spawns in flight",
        without: "a commit of held jobs that is open while a runner falls asleep is not waited for",
        function: "mq_in_flight",
        patch: &[
            ("'mq_ready'::regclass", "'mq_jobs'::regclass"),
            ("'mq_scheduled'::regclass", "'mq_jobs'::regclass"),
        ],
        turns_red: &["an_open_commit_of_held_jobs_is_seen_in_flight"],
    },
];
