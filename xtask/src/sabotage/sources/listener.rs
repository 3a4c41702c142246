//! The connection that listens.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "listener that reads",
        without: "notifications pile up in the server, and hold back vacuum",
        file: "runner/listen.rs",
        patch: &[(
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
        file: "runner/listen.rs",
        patch: &[(
            "HEARTBEAT_EVERY: Duration = Duration::from_secs(5)",
            "HEARTBEAT_EVERY: Duration = Duration::from_secs(500)",
        )],
        turns_red: &["a_listener_that_hears_nothing_any_more_is_replaced"],
    },
];
