//! What a claim takes.

use super::Mechanism;

pub const ROWS: &[Mechanism] = &[
    Mechanism {
        name: "names of single claims",
        without: "a runner with one place takes the first of its names as long as there is something of it",
        function: "mq_claim_by_name",
        patch: &[("and (max_jobs > 1 or cardinality(name_keys) = 1)", "")],
        turns_red: &["who_claims_one_job_at_a_time_takes_one_name_after_the_other"],
    },
    Mechanism {
        name: "names of a claim",
        without: "an old program claims jobs of names that it can't run",
        function: "mq_claim_by_name",
        patch: &[("if name_keys is null then", "if true then")],
        turns_red: &[
            "names_that_are_unknown_here_are_left_to_others",
            "a_claim_takes_only_names_it_knows_however_many_others_wait",
        ],
    },
    Mechanism {
        name: "skip locked",
        without: "claims wait for each other's rows",
        function: "mq_claim_many",
        patch: &[("for update skip locked", "for update")],
        turns_red: &["a_claimed_job_is_not_claimed_twice"],
    },
    Mechanism {
        name: "skip locked on the short way",
        without: "a claim waits for another's row",
        function: "mq_claim_by_name",
        patch: &[("for update skip locked", "for update")],
        turns_red: &["a_claim_of_the_only_job_that_is_free_does_not_wait_for_the_others"],
    },
    Mechanism {
        name: "share of a name",
        without: "a claim takes more jobs than its runner has asked for",
        function: "mq_claim_many",
        patch: &[
            (
                "select greatest((max_jobs + r.names_ready - 1 - place) / r.names_ready, 1) as jobs",
                "select greatest(max_jobs, 1) as jobs",
            ),
            ("    limit greatest(max_jobs, 0)\n", "\n"),
        ],
        turns_red: &["a_claim_never_takes_more_than_it_asked_for"],
    },
    Mechanism {
        name: "bytes of a claim",
        without: "one claim fetches more payload than its runner has asked for",
        function: "mq_claim_many",
        patch: &[
            ("s.before < max_bytes and", ""),
            (
                "least(s.wanted, 1 + (max_bytes - s.before - 1) / greatest(s.bytes / s.jobs, 1))",
                "s.wanted",
            ),
        ],
        turns_red: &["a_claim_is_bounded_in_bytes_but_takes_one_job_of_any_size"],
    },
    Mechanism {
        name: "part of a run",
        without: "a claim takes all jobs of a run, although its runner has asked for fewer",
        function: "mq_claim_many",
        patch: &[(
            "least(l.jobs, l.share - sum(l.jobs) over (partition by l.place order by l.nth) + l.jobs) as wanted",
            "l.jobs::bigint as wanted",
        )],
        turns_red: &["a_run_that_is_claimed_in_parts_gives_each_job_once"],
    },
    Mechanism {
        name: "rest of a run",
        without: "jobs of a run that is claimed in parts are claimed twice",
        function: "mq_claim_many",
        patch: &[("set ids = p.ids[p.taken + 1 :]", "set ids = p.ids")],
        turns_red: &["a_run_that_is_claimed_in_parts_gives_each_job_once"],
    },
    Mechanism {
        name: "rest of a run by channel",
        without: "jobs of a run that a subscription claims in parts are claimed twice",
        function: "mq_take_jobs",
        patch: &[("set ids = f.ids[f.taken + 1 :]", "set ids = f.ids")],
        turns_red: &["a_run_that_a_subscription_claims_in_parts_gives_each_job_once"],
    },
    Mechanism {
        name: "a row of each name",
        without: "names whose rows somebody holds hide the others from small claims",
        function: "mq_claim_many",
        patch: &[(
            "select greatest((max_jobs + r.names_ready - 1 - place) / r.names_ready, 1) as jobs",
            "select (max_jobs + r.names_ready - 1 - place) / r.names_ready as jobs",
        )],
        turns_red: &["a_claim_of_fewer_jobs_than_names_passes_over_those_whose_rows_are_locked"],
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
        name: "durable second attempts",
        without: "a job that kills the database is tried again without end",
        function: "mq_secure_claim",
        patch: &[("perform set_config('synchronous_commit', 'on', true)", "null")],
        turns_red: &["a_later_attempt_is_claimed_durably"],
    },
    Mechanism {
        name: "retries on the short way",
        without: "the short way of a claim starts a retry as if it were the first attempt",
        function: "mq_claim_by_name",
        patch: &[(
            "q.ids[1] as id, cardinality(q.ids) as length",
            "coalesce(q.ids[1], q.id) as id, coalesce(cardinality(q.ids), 1) as length",
        )],
        turns_red: &["a_later_attempt_is_claimed_durably"],
    },
    Mechanism {
        name: "lease on the short way",
        without: "an incarnation whose lease is over claims single jobs",
        function: "mq_claim_by_name",
        patch: &[(
            "expired := not mq_hold_lease(mq_claim_by_name.runner, mq_claim_by_name.claim)",
            "expired := false",
        )],
        turns_red: &["a_runner_whose_lease_is_over_claims_nothing"],
    },
    Mechanism {
        name: "isolation of a claim",
        without: "a runner's function that misses rows which moved since its snapshot goes on",
        function: "mq_require_read_committed",
        patch: &[("not in ('read committed', 'read uncommitted')", "in ('none')")],
        turns_red: &["a_claim_in_another_isolation_level_is_refused"],
    },
    Mechanism {
        name: "small payloads",
        without: "who is slow to read the payloads of a claim holds its locks as long",
        function: "mq_small_bytes",
        patch: &[("49152", "163840000")],
        turns_red: &["a_claim_returns_small_payloads_only_and_not_many_of_them"],
    },
    Mechanism {
        name: "order of a claim",
        without: "the jobs of a large claim start in the order of their places on disk, and a channel has its turn late",
        function: "mq_claim_many",
        patch: &[(" order by t.tag, t.position) as t", ") as t")],
        turns_red: &["a_claim_returns_its_jobs_in_the_order_in_which_they_are_due"],
    },
];
