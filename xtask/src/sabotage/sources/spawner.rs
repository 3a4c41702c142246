//! What tasks that spawn at once share, and what they must not.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "flush of several spawns",
        without: "tasks that spawn at once pay for a statement and a commit each",
        patch: &[(
            "spawn/spawner/gathering.rs",
            "FLUSH_AT_MOST: usize = 512",
            "FLUSH_AT_MOST: usize = 1",
        )],
        turns_red: &[
            "tasks_that_spawn_at_once_share_statements_and_each_gets_its_id",
            "a_flush_is_bounded_and_keeps_the_order",
        ],
    },
    Source {
        name: "flush in its own task",
        without: "who gives up its spawn takes those that were sent with it along, and stops all that follow",
        patch: &[(
            "spawn/spawner/public.rs",
            "TaskTracker::new().spawn_on(Flusher::new(&self.0).run(), &runtime);",
            "let _ = (TaskTracker::new(), runtime); Flusher::new(&self.0).run().await;",
        )],
        turns_red: &["a_future_that_is_dropped_disturbs_nobody"],
    },
    Source {
        name: "flush without the refused",
        without: "a job that PostgreSQL refuses takes those along that were sent with it",
        patch: &[(
            "spawn/spawner/flush.rs",
            "Err(_) if group.len() > 1",
            "Err(_) if false",
        )],
        turns_red: &["what_the_database_refuses_is_an_error_of_its_own_caller_alone"],
    },
    Source {
        name: "order of what is sent again",
        without: "ordered jobs that were sent with one that is refused are out of order",
        patch: &[(
            "spawn/spawner/flush.rs",
            "groups.extend([later_half, group])",
            "groups.extend([group, later_half])",
        )],
        turns_red: &["what_the_database_refuses_is_an_error_of_its_own_caller_alone"],
    },
    Source {
        name: "ids of a flush",
        without: "of two spawns of one id that are sent together both are refused",
        patch: &[(
            "spawn/spawner/gathering.rs",
            "|| ids.contains(&next.id())",
            "|| false",
        )],
        turns_red: &[
            "an_id_that_is_taken_is_an_error_of_its_own_caller_alone",
            "an_id_is_in_a_flush_once",
        ],
    },
    Source {
        name: "failure of everybody",
        without: "when the server has no time each job waits for it in turn",
        patch: &[(
            "error/classify.rs",
            "is_of_the_statement || is_transient(error) && !should_retry(error)",
            "is_of_the_statement",
        )],
        turns_red: &["a_timeout_and_a_missing_schema_are_errors_of_every_caller"],
    },
    Source {
        name: "deadline of a flush",
        without: "a connection that is half open holds up all spawns until the kernel notices",
        patch: &[(
            "spawn/spawner/flush.rs",
            "Duration::from_secs(15)",
            "Duration::from_secs(900)",
        )],
        turns_red: &["a_silent_connection_holds_up_the_others_for_fifteen_seconds_at_most"],
    },
    Source {
        name: "panic of a flush",
        without: "a hook of the pool that panics takes those along that gather for the next flush",
        patch: &[(
            "spawn/spawner/flusher.rs",
            ".catch_unwind()",
            ".map(Ok::<(), ()>)",
        )],
        turns_red: &["a_panic_in_a_hook_of_the_pool_strands_nobody"],
    },
    Source {
        name: "last word of a flusher",
        without: "spawns wait for ever for a flush whose runtime is gone",
        patch: &[("spawn/spawner/flusher.rs", "if !self.is_through {", "if false {")],
        turns_red: &["a_runtime_that_goes_strands_nobody_in_another"],
    },
];
