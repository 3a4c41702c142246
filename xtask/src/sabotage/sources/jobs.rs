//! From the claim to the handler.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "completions whose claim fails",
        without: "what keeps the next in line from being claimed keeps the job before it from being completed",
        patch: &[(
            "runner/complete/completions.rs",
            "self.one_by_one(\"complete jobs\", group, &error);",
            "self.retry(\"complete jobs\", group, error).await;",
        )],
        turns_red: &["completions_go_on_when_the_next_in_line_can_not_be_claimed_with_them"],
    },
    Source {
        name: "halves of a flush",
        without: "all ordered jobs of a runner wait for one server process",
        patch: &[(
            "runner/complete/batch.rs",
            "IN_HALVES_FROM: usize = 256",
            "IN_HALVES_FROM: usize = usize::MAX",
        )],
        turns_red: &["many_ordered_channels_are_completed_over_two_connections_each_in_its_order"],
    },
    Source {
        name: "fetches beside claims",
        without: "a payload that is slow on its way keeps a runner from claiming anything else",
        patch: &[(
            "runner/poll.rs",
            "if beside.is_free(&self.session) {",
            "if false && beside.is_free(&self.session) {",
        )],
        turns_red: &["a_payload_that_is_slow_on_its_way_does_not_hold_up_what_is_claimed_after_it"],
    },
    Source {
        name: "places",
        without: "more jobs run at a time than may",
        patch: &[(
            "runner/slots.rs",
            "(running < limit).then_some",
            "(running < limit + 10).then_some",
        )],
        turns_red: &["no_more_jobs_run_at_a_time_than_allowed"],
    },
    Source {
        name: "claims ahead",
        without: "short jobs wait for a claim each time a few of them have ended",
        patch: &[(
            "runner/poll.rs",
            "shared.settings.keep_alive.then(",
            "false.then(",
        )],
        turns_red: &["short_jobs_share_claims_though_no_more_run_at_a_time_than_may"],
    },
    Source {
        name: "no claims ahead under leases of their own",
        without: "a lease that begins with the claim is spent on waiting for a place",
        patch: &[("runner/poll.rs", "shared.settings.keep_alive.then(", "true.then(")],
        turns_red: &["a_lease_of_its_own_is_not_spent_on_waiting_for_a_place"],
    },
    Source {
        name: "patience with places",
        without: "jobs that were claimed ahead wait behind long ones, while other runners have nothing to do",
        patch: &[("runner/prefetch.rs", "=> give_back_late(shared)", "=> {}")],
        turns_red: &["what_was_claimed_ahead_of_long_jobs_is_run_by_another_runner"],
    },
    Source {
        name: "claimed ahead when it stops",
        without: "a runner that stops keeps what it has not started, for as long as its last job runs",
        patch: &[("runner/supervise.rs", "prefetch::close(&self.shared);", "")],
        turns_red: &["what_was_claimed_ahead_is_given_back_as_soon_as_the_runner_stops"],
    },
    Source {
        name: "start that panics",
        without: "a job that was claimed ahead is held for ever after a panic at its start",
        patch: &[(
            "runner/prefetch.rs",
            "if std::thread::panicking()",
            "if false && std::thread::panicking()",
        )],
        turns_red: &["a_panic_at_the_start_of_a_job_that_was_claimed_ahead_gives_it_back"],
    },
    Source {
        name: "panics that are caught",
        without: "a job that panics is failed without its message, and nobody is told while its runner lives",
        patch: &[(
            "job/layer.rs",
            "match AssertUnwindSafe(inside).catch_unwind().await {",
            "match Ok::<_, Box<dyn std::any::Any + Send>>(inside.await) {",
        )],
        turns_red: &[
            "a_panic_is_a_failed_attempt_with_its_message",
            "a_panic_of_an_inner_layer_is_an_end_for_the_outer_one",
        ],
    },
    Source {
        name: "names that are compared",
        without: "a job whose name has the key of another one is run as that",
        patch: &[(
            "runner/dispatch.rs",
            "jobs.get(&*payload.name).copied()",
            "jobs.get(&*payload.name).or(jobs.values().next()).copied()",
        )],
        turns_red: &["jobs_whose_keys_collide_are_run_by_their_names_and_in_order"],
    },
    Source {
        name: "jobs given back",
        without: "jobs that outlast the grace are failed, or left to the reaper",
        patch: &[(
            "runner/supervise.rs",
            "for attempt in current.held() {\n            if attempt.released()",
            "for attempt in current.held() {\n            if false && attempt.released()",
        )],
        turns_red: &["after_the_grace_jobs_are_cancelled_and_given_back_without_an_attempt"],
    },
    Source {
        name: "claim that is dropped",
        without: "jobs between claim and start are held for ever after a panic",
        patch: &[(
            "runner/unstarted.rs",
            "fn drop(&mut self) {\n        self.give_back(match",
            "fn drop(&mut self) {\n        drop(match",
        )],
        turns_red: &[
            "a_panic_between_the_claim_and_the_start_of_a_job_gives_it_back",
            "a_panic_among_the_starts_of_many_jobs_gives_the_others_back",
        ],
    },
    Source {
        name: "payload that never arrives",
        without: "a job whose payload breaks each connection comes round for ever, once a second",
        patch: &[(
            "runner/undelivered.rs",
            "if *noted >= TRIES {",
            "if false && *noted >= TRIES {",
        )],
        turns_red: &[
            "a_payload_that_breaks_each_connection_uses_up_the_attempts_of_its_own_job_alone",
            "a_payload_that_does_not_arrive_three_times_in_a_row_fails_its_attempt",
        ],
    },
    Source {
        name: "patience with payloads",
        without: "an outage that interrupts a payload uses an attempt",
        patch: &[("runner/undelivered.rs", "TRIES: u32 = 3;", "TRIES: u32 = 1;")],
        turns_red: &["a_payload_that_is_lost_twice_and_then_arrives_has_cost_no_attempt"],
    },
    Source {
        name: "payload that is asked for alone",
        without: "jobs whose payloads were on their way with one that never arrives fail with it",
        patch: &[
            (
                "runner/undelivered.rs",
                "if asked == [id] {",
                "if asked.contains(&id) {",
            ),
            (
                "runner/undelivered.rs",
                "self.times().contains_key(&id)",
                "id.is_nil()",
            ),
        ],
        turns_red: &["a_payload_that_was_asked_for_with_others_is_suspected_and_not_counted"],
    },
    Source {
        name: "job that is dropped",
        without: "a job that its function has dropped is held for as long as its runner lives",
        patch: &[(
            "runner/attempt.rs",
            "let fails = self.fate == Fate::Open && self.job_dropped",
            "let fails = false && self.fate == Fate::Open && self.job_dropped",
        )],
        turns_red: &[
            "a_job_dropped_without_being_completed_has_failed",
            "a_moved_job_lives_on_after_ok_and_fails_when_dropped",
        ],
    },
    Source {
        name: "panics of an error handler",
        without: "an error handler that has panicked hears of no error any more",
        patch: &[(
            "runner/dispatch.rs",
            "catch_unwind(AssertUnwindSafe(|| handler(&report.name, report.error)))",
            "Ok::<(), Box<dyn Any + Send>>(handler(&report.name, report.error))",
        )],
        turns_red: &["an_error_handler_that_panics_hears_of_the_next_error_all_the_same"],
    },
];
