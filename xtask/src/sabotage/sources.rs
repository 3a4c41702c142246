//! Which mechanism of the runner's own code holds what. As [`table`](super::table), with text of a source file to replace.

/// A mechanism in Rust, how it is taken away, and what must turn red then.
pub struct Source {
    /// Two or three words for the report.
    pub name: &'static str,
    /// What goes wrong without it.
    pub without: &'static str,
    /// The file that has it, from the sources of the core.
    pub file: &'static str,
    /// What to replace in it, wherever it stands, and by what. It is an error if the text is no longer there.
    pub patch: &'static [(&'static str, &'static str)],
    /// The tests that must fail, by the last part of their path.
    pub turns_red: &'static [&'static str],
}

/// All of them, in the order of a job's life.
pub const SOURCES: &[Source] = &[
    Source {
        name: "bounds of a job",
        without: "a job is stored that no claim can read, or that makes each of them fail",
        file: "spawn/check.rs",
        patch: &[
            (
                "Ok(number) if retries <= MAX_RETRIES => Ok(number)",
                "Ok(number) => Ok(number)",
            ),
            ("if duration > MAX_DURATION {", "if false {"),
        ],
        turns_red: &[
            "retries_are_counted_up_to_a_million",
            "durations_above_the_bound_are_refused",
        ],
    },
    Source {
        name: "context at start",
        without: "a job whose context is missing fails when it is claimed, and not at the start",
        file: "registry/check.rs",
        patch: &[(
            "find_map(|need| (need.0)(self))",
            "find_map(|need| (need.0)(self).filter(|_| false))",
        )],
        turns_red: &["missing_context_is_refused_for_the_jobs_that_are_run"],
    },
    Source {
        name: "options that are checked",
        without: "a runner with impossible options runs nothing, or asks without a pause",
        file: "runner/options.rs",
        patch: &[("if min == 0 || min > max {", "if false {")],
        turns_red: &["impossible_options_are_refused_with_a_reason"],
    },
    Source {
        name: "poll while asleep",
        without: "a runner that missed a notification sleeps on",
        file: "runner/plan.rs",
        patch: &[(
            ".map_or(poll_interval, |pause| pause.min(poll_interval))",
            ".map_or(poll_interval * 3600, |pause| pause)",
        )],
        turns_red: &["asleep_it_claims_once_more_and_then_each_poll_interval"],
    },
    Source {
        name: "longest pause",
        without: "after an outage a runner waits for much longer than the outage was",
        file: "backoff.rs",
        patch: &[(".min(LONGEST);", ";")],
        turns_red: &[
            "the_pause_doubles_up_to_five_seconds",
            "no_number_of_failures_leaves_the_bounds",
        ],
    },
    Source {
        name: "failures that saturate",
        without: "the pause after many failures overflows, and the loop ends",
        file: "backoff.rs",
        patch: &[(
            "1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)",
            "1_u32 << self.failures",
        )],
        turns_red: &["no_number_of_failures_leaves_the_bounds"],
    },
    Source {
        name: "deadline of a statement",
        without: "a half-open connection is waited for until the system gives up, minutes later",
        file: "runner/session.rs",
        patch: &[(
            "tokio::time::timeout(deadline, answer)",
            "tokio::time::timeout(deadline * 100, answer)",
        )],
        turns_red: &["silent_connections_are_replaced_within_fifteen_seconds_and_no_job_is_lost"],
    },
    Source {
        name: "free slots",
        without: "a claim takes more jobs than may run",
        file: "runner/poll.rs",
        patch: &[(
            "Step::Claim(max_jobs) => self.claim(max_jobs).await",
            "Step::Claim(max_jobs) => self.claim(max_jobs + 10).await",
        )],
        turns_red: &["no_more_jobs_run_at_a_time_than_allowed"],
    },
    Source {
        name: "panics that are caught",
        without: "a job that panics is failed without its message, and nobody is told while its runner lives",
        file: "job/layer.rs",
        patch: &[(
            "match AssertUnwindSafe(inside).catch_unwind().await {",
            "match Ok::<_, Box<dyn std::any::Any + Send>>(inside.await) {",
        )],
        turns_red: &["a_panic_is_a_failed_attempt_with_its_message"],
    },
    Source {
        name: "names that are compared",
        without: "a job whose name has the key of another one is run as that",
        file: "runner/dispatch.rs",
        patch: &[(
            "jobs.get(&*payload.name).copied()",
            "jobs.get(&*payload.name).or(jobs.values().next()).copied()",
        )],
        turns_red: &["jobs_whose_keys_collide_are_run_by_their_names_and_in_order"],
    },
    Source {
        name: "thread that renews",
        without: "a job that blocks its thread starves the lease of all jobs",
        file: "runner/lease.rs",
        patch: &[
            (
                "std::thread::Builder::new()\n        .name(\"sqlxmq-renew\".to_owned())\n        .spawn(move || {\n            runtime.block_on(async move {",
                "std::mem::forget(runtime);\n    tokio::spawn(async move {\n        {",
            ),
            (
                "            });\n        })?;\n    Ok(answer)",
                "            }\n        });\n    Ok(answer)",
            ),
        ],
        turns_red: &["a_handler_that_blocks_its_thread_keeps_its_lease"],
    },
    Source {
        name: "renewal that is repeated",
        without: "one failed renewal ends the lease of all jobs",
        file: "runner/lease.rs",
        patch: &[(
            "            let pause = self\n                .backoff",
            "            self.end(&current);\n            let pause = self\n                .backoff",
        )],
        turns_red: &["a_job_outlives_the_connections_of_its_runner"],
    },
    Source {
        name: "local deadline",
        without: "a job is not told that its lease is over while the database can't be asked",
        file: "runner/incarnation.rs",
        patch: &[("state.ended || Instant::now() >= state.deadline", "state.ended")],
        turns_red: &[
            "an_outage_longer_than_the_lease_ends_the_attempt_and_not_the_runner",
            "a_missed_deadline_can_not_be_renewed",
        ],
    },
    Source {
        name: "witness of one's own",
        without: "the first runner back after an outage reaps those that come after it",
        file: "runner/maintain.rs",
        patch: &[(
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
        file: "runner/maintain.rs",
        patch: &[(
            "if self.session.generation() != self.known_generation {",
            "if false {",
        )],
        turns_red: &["a_runner_that_has_lost_its_connection_watches_the_others_anew"],
    },
    Source {
        name: "completion that is repeated",
        without: "a completion that meets a lost connection fails, and the whole job runs again",
        file: "runner/complete/completer.rs",
        patch: &[(
            "let may_help = is_lost || is_transient(&error);",
            "let may_help = false;",
        )],
        turns_red: &["a_completion_is_repeated_on_a_new_connection"],
    },
    Source {
        name: "question after a commit",
        without: "a commit whose answer was lost counts as failed, though it may have succeeded",
        file: "job/transaction.rs",
        patch: &[(
            "let Some(ticket) = ticket else {",
            "let Some(ticket) = ticket.filter(|_| false) else {",
        )],
        turns_red: &[
            "a_commit_whose_answer_was_lost_is_asked_after",
            "a_commit_that_was_lost_itself_is_reported_as_not_committed",
        ],
    },
    Source {
        name: "question after a completion",
        without: "a completion whose commit was not answered is taken for one that did not happen",
        file: "runner/complete/transact.rs",
        patch: &[(
            "Some(answer) => Sent::Unknown(answer, error)",
            "Some(_) => Sent::NotCommitted(error)",
        )],
        turns_red: &["a_completion_whose_commit_was_not_answered_is_resolved"],
    },
    Source {
        name: "jobs given back",
        without: "jobs that outlast the grace are failed, or left to the reaper",
        file: "runner/supervise.rs",
        patch: &[(
            "for attempt in current.held() {\n            if attempt.released()",
            "for attempt in current.held() {\n            if false && attempt.released()",
        )],
        turns_red: &["after_the_grace_jobs_are_cancelled_and_given_back_without_an_attempt"],
    },
    Source {
        name: "claim that is dropped",
        without: "jobs between claim and start are held for ever after a panic",
        file: "runner/poll.rs",
        patch: &[(
            "fn drop(&mut self) {\n        self.give_back(Duration::ZERO);",
            "fn drop(&mut self) {",
        )],
        turns_red: &["a_panic_between_the_claim_and_the_start_of_a_job_gives_it_back"],
    },
    Source {
        name: "deadline of a user's transaction",
        without: "a half-open connection of the user's holds a job for as long as the process lives",
        file: "job/transaction.rs",
        patch: &[(
            "const DEADLINE: Duration = Duration::from_secs(6)",
            "const DEADLINE: Duration = Duration::from_secs(600)",
        )],
        turns_red: &["a_completion_over_a_connection_that_fell_silent_is_decided_all_the_same"],
    },
    Source {
        name: "end of the grace",
        without: "a runner that stops during an outage goes on for minutes",
        file: "runner/supervise.rs",
        patch: &[(
            "() = grace_over(&mut stopped, LAST_CLAIM) => {}",
            "() = grace_over(&mut stopped, LAST_CLAIM * 100) => {}",
        )],
        turns_red: &["stopping_during_an_outage_takes_the_grace_and_a_few_seconds"],
    },
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
