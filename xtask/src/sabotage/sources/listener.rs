//! The connection that listens.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "listener that reads",
        without: "notifications pile up in the server, and hold back vacuum",
        patch: &[(
            "runner/listen.rs",
            "message = listener.try_recv() =>",
            "message = std::future::pending::<Result<Option<sqlx::postgres::PgNotification>, sqlx::Error>>() =>",
        )],
        turns_red: &[
            "notifications_are_read_while_a_runner_is_busy_and_none_waits_in_the_server",
            "a_spawn_wakes_a_sleeping_runner_within_milliseconds",
        ],
    },
    Source {
        name: "heartbeat of the listener",
        without: "a listener whose connection is half-open hears nothing any more, and does not know",
        patch: &[(
            "runner/listen.rs",
            "HEARTBEAT_EVERY: Duration = Duration::from_secs(5)",
            "HEARTBEAT_EVERY: Duration = Duration::from_secs(500)",
        )],
        turns_red: &["a_listener_that_hears_nothing_any_more_is_replaced"],
    },
    Source {
        name: "sleep of a connection",
        without: "a runner whose connection was replaced believes that spawns still notify it",
        patch: &[
            (
                "runner/poll.rs",
                "            self.plan.woke();\n            self.sweep_at = None;",
                "            self.sweep_at = None;",
            ),
            (
                "runner/poll.rs",
                "        if !self.session.is_connected() {\n            self.plan.woke();\n        }\n",
                "",
            ),
        ],
        turns_red: &["a_runner_whose_connection_was_closed_in_its_sleep_says_again_that_it_sleeps"],
    },
];
