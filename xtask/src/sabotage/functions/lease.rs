//! Leases, renewals, audits and reaps.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
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
        patch: &[("for key share;", ";")],
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
        name: "audit of a busy runner",
        without: "the audits of a runner that claims all the time search everything since its start",
        function: "mq_audit",
        patch: &[("and mq_await_claims(mq_audit.runner, next_first)", "and false")],
        turns_red: &["an_audit_of_a_busy_runner_waits_a_moment_to_leave_its_claims_behind"],
    },
    Mechanism {
        name: "reach of an audit",
        without: "an audit reads whatever its runner has claimed since its start, as far as it is not vacuumed",
        function: "mq_audit",
        patch: &[("and r.claim >= search_from", "")],
        turns_red: &["an_audit_and_a_cancellation_do_not_read_what_the_runner_has_long_completed"],
    },
    Mechanism {
        name: "reach of a cancellation",
        without: "a cancellation reads whatever runners have claimed since their start, as far as it is not vacuumed",
        function: "mq_cancel_free",
        patch: &[(
            "r.runner = i.runner and r.claim >= i.first_claim",
            "r.runner = i.runner",
        )],
        turns_red: &["an_audit_and_a_cancellation_do_not_read_what_the_runner_has_long_completed"],
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
        name: "runner that is still needed",
        without: "a job whose completion is rolled back after its runner was reaped is held for ever",
        function: "mq_reap",
        patch: &[(
            "\n      and not exists (select from mq_running as r where r.runner = i.runner and r.claim >= search_from)",
            "",
        )],
        turns_red: &[
            "a_job_that_is_being_completed_while_its_runner_is_reaped_is_reaped_later_if_that_is_rolled_back",
        ],
    },
    Mechanism {
        name: "end that leaves no job alone",
        without: "a job whose completion is rolled back after its runner has ended is held for ever",
        function: "mq_unregister",
        patch: &[(
            "\n    and not exists (select from mq_running as r where r.runner = i.runner and r.claim >= search_from)",
            "",
        )],
        turns_red: &["a_job_that_is_being_completed_while_its_runner_ends_is_reaped_if_that_is_rolled_back"],
    },
];
