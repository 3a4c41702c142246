//! The renewal of the runner's lease, and the watch over those of others.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "thread that renews",
        without: "a job that blocks its thread starves the lease of all jobs",
        patch: &[
            (
                "runner/lease.rs",
                "std::thread::Builder::new()\n        .name(\"sqlxmq-renew\".to_owned())\n        .spawn(move || {\n            runtime.block_on(async move {",
                "std::mem::forget(runtime);\n    tokio::spawn(async move {\n        {",
            ),
            (
                "runner/lease.rs",
                "            });\n        })?;\n    Ok(answer)",
                "            }\n        });\n    Ok(answer)",
            ),
        ],
        turns_red: &["a_handler_that_blocks_its_thread_keeps_its_lease"],
    },
    Source {
        name: "renewal that is repeated",
        without: "one failed renewal ends the lease of all jobs",
        patch: &[(
            "runner/lease.rs",
            "            let pause = self\n                .backoff",
            "            self.end(&current);\n            let pause = self\n                .backoff",
        )],
        turns_red: &["a_job_outlives_the_connections_of_its_runner"],
    },
    Source {
        name: "local deadline",
        without: "a job is not told that its lease is over while the database can't be asked",
        patch: &[(
            "runner/incarnation.rs",
            "state.ended || Instant::now() >= state.deadline",
            "state.ended",
        )],
        turns_red: &[
            "an_outage_longer_than_the_lease_ends_the_attempt_and_not_the_runner",
            "a_missed_deadline_can_not_be_renewed",
        ],
    },
    Source {
        name: "witness of one's own",
        without: "the first runner back after an outage reaps those that come after it",
        patch: &[(
            "runner/maintain.rs",
            "expired && now.saturating_duration_since(first_seen) >= silence",
            "expired",
        )],
        turns_red: &[
            "an_expired_runner_is_not_reaped_at_first_sight",
            "a_beat_starts_the_silence_again",
        ],
    },
    Source {
        name: "witness of one session",
        without: "a reaper counts silence from before its own connection broke",
        patch: &[(
            "runner/maintain.rs",
            "if self.session.generation() != self.known_generation {",
            "if false {",
        )],
        turns_red: &["a_runner_that_has_lost_its_connection_watches_the_others_anew"],
    },
];
