//! One entry for each public function: a new function needs one, and then meets all others.
//!
//! `stage.sql` says what jobs there are. In a call,
//! - `{jobs}` are the jobs of the part, of all states; `{held}` running ones of runner 1, by claim 1; `{one}` is one of these;
//! - `{new}` is a number that is different for each call; `{me}` is a runner: 1 in the first transaction, 3 in the second;
//! - `{max}` is how many.

/// Which jobs a call is about. Two calls about [`Part::All`] are about the same ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    All,
    /// All, named in the opposite order.
    Backwards,
    /// Those with low ids.
    Lower,
    /// Those with high ids.
    Upper,
}

/// What a function does in a transaction with a snapshot of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Snapshot {
    /// It may be called; 40001 is an answer.
    Works,
    /// It is for runners and operators, who use READ COMMITTED.
    NotMeant,
    /// It says so, and does nothing.
    Refuses,
}

/// A public function.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    /// The call, or more than one.
    pub calls: &'static [&'static str],
    /// It changes nothing.
    pub reads: bool,
    /// It may wait for jobs that another transaction has changed, because its caller has named them.
    pub waits: bool,
    /// It locks the row of its runner, so it may wait for another function that does.
    pub holds_runner: bool,
    pub snapshot: Snapshot,
    /// It ends the jobs that it returns.
    pub ends: bool,
    /// Error codes that its documentation has, for READ COMMITTED.
    pub errors: &'static [&'static str],
}

const ENTRY: Function = Function {
    name: "",
    calls: &[],
    reads: false,
    waits: false,
    holds_runner: false,
    snapshot: Snapshot::NotMeant,
    ends: false,
    errors: &[],
};

/// Functions that only look.
const fn look(name: &'static str, calls: &'static [&'static str]) -> Function {
    Function {
        name,
        calls,
        reads: true,
        ..ENTRY
    }
}

/// Functions that choose their rows, and pass over what others have locked.
const fn choose(name: &'static str, calls: &'static [&'static str]) -> Function {
    Function {
        name,
        calls,
        snapshot: Snapshot::Refuses,
        ..ENTRY
    }
}

/// Functions that are called with jobs, and wait for them.
const fn named(name: &'static str, calls: &'static [&'static str]) -> Function {
    Function {
        name,
        calls,
        waits: true,
        snapshot: Snapshot::Works,
        ..ENTRY
    }
}

/// The job was moved each time that the function looked for it.
const MOVING: &str = "40001";
/// The id is taken.
const TAKEN: &str = "23505";

/// All of them, in the order of a job's life.
pub const FUNCTIONS: &[Function] = &[
    // Producers.
    Function {
        errors: &[TAKEN],
        ..named(
            "mq_spawn",
            &[
                "select mq_spawn('a', channel_name => 'free', channel_args => 'o2', ordered => true, id => (array{spawned})[1])",
                "select mq_spawn('b', channel_name => 'with 1', channel_args => 'o1', ordered => true)",
            ],
        )
    },
    named(
        "mq_spawn_one",
        &[
            "select mq_spawn_one((array{spawned})[1], 'a', 'free', 'o2', false, 4, 0, 0, 0, null, '1', null)",
            "select mq_spawn_one((array{spawned})[1], 'b', 'with 1', 'o1', true, 4, 0, 0, 0, null, null, null)",
        ],
    ),
    named(
        "mq_spawn_all",
        &[
            "select mq_spawn_all(i, array_fill('a'::text, n), array_fill('free'::text, n), array_fill('o2'::text, n),
               array(select p % 2 = 0 from generate_subscripts(i, 1) as p), array_fill(4, n), array_fill(0::bigint, n), array_fill(0::bigint, n),
               array_fill(0::bigint, n), array_fill(null::bigint, n), array_fill('1'::text, n), array_fill(null::bytea, n))
             from (select array{spawned} as i, array[cardinality(array{spawned})] as n) as jobs",
        ],
    ),
    named(
        "mq_spawn_all_at",
        &[
            "select mq_spawn_all_at(i, array_fill('a'::text, n), array_fill('free'::text, n), array_fill('o2'::text, n),
               array(select p % 2 = 0 from generate_subscripts(i, 1) as p), array_fill(4, n), array_fill(0::bigint, n), array_fill(0::bigint, n),
               array_fill(0::bigint, n), array_fill(null::bigint, n), array_fill('1'::text, n), array_fill(null::bytea, n),
               array(select case when p % 2 = 0 then p end::bigint from generate_subscripts(i, 1) as p))
             from (select array{spawned} as i, array[cardinality(array{spawned})] as n) as jobs",
        ],
    ),
    named("mq_commit", &["select mq_commit({jobs})"]),
    look("mq_exists", &["select mq_exists({one})"]),
    // Runners.
    Function {
        waits: true,
        errors: &[TAKEN],
        ..choose_any(
            "mq_register",
            &["select mq_register(runner(10), '1 hour', 'new')", "select mq_register(runner(1000 + {new}), '1 hour', 'new')"],
        )
    },
    Function {
        waits: true,
        holds_runner: true,
        ..choose_any(
            "mq_renew",
            &["select mq_renew(runner(1), '1 hour')", "select mq_renew(runner({me}), '1 hour')"],
        )
    },
    Function {
        holds_runner: true,
        ..choose("mq_audit",
        &[
            "select * from mq_audit(runner(1), those(7, 8, 99), array[1, 1, 1], 100)",
            "select * from mq_audit(runner(1), {held}, same(1, {held}), 2)",
        ],)
    },
    Function {
        waits: true,
        holds_runner: true,
        ..choose("mq_unregister", &["select mq_unregister(runner(1))", "select mq_unregister(runner({me}))"])
    },
    Function {
        holds_runner: true,
        ..choose("mq_claim_by_name",
        &[
            "select ids from mq_claim_by_name(runner({me}), 100 + {new}, {max}, 1 << 30, null, true, null, false)",
            "select ids from mq_claim_by_name(runner({me}), 100 + {new}, {max}, 1 << 30, array[mq_key('a')], false, '1 hour', false)",
            "select ids from mq_claim_by_name(runner({me}), 100 + {new}, 1, 1 << 30, array[mq_key('a')], false, null, false)",
            "select ids from mq_claim_by_name(runner({me}), 100 + {new}, {max}, 1 << 30, array[mq_key('b'), mq_key('a')], true, null, false)",
        ],)
    },
    Function {
        holds_runner: true,
        ..choose("mq_claim_by_channel",
        &[
            "select ids from mq_claim_by_channel(runner({me}), 100 + {new}, {max}, 1 << 30, array[mq_key('b'), mq_key('a')],
               array[mq_key('free'), mq_key('with 1'), mq_key('mixed')], 0, null, false)",
        ],)
    },
    look("mq_payloads", &["select * from mq_payloads({jobs})"]),
    Function {
        ends: true,
        ..named("mq_complete", &["select completed from mq_complete(runner(1), {held}, same(1, {held}), true)"])
    },
    Function {
        name: "mq_complete",
        calls: &["select completed from mq_complete(runner(1), {held}, same(1, {held}), false)"],
        ends: true,
        ..ENTRY
    },
    Function {
        ends: true,
        ..choose("mq_complete_and_claim",
        &[
            "select completed from mq_complete_and_claim(runner(1), {held}, same(1, {held}), 100 + {new}, null, '{}')",
            "select completed from mq_complete_and_claim(runner(1), {held}, same(1, {held}), 100 + {new}, array[mq_key('a')], ({held})[1:1])",
        ],)
    },
    Function {
        snapshot: Snapshot::NotMeant,
        ..named(
            "mq_fail",
            &["select failed from mq_fail(runner(1), {held}, same(1, {held}), array_fill('no'::text, array[cardinality({held})]), true)"],
        )
    },
    Function {
        name: "mq_fail",
        calls: &[
            "select failed from mq_fail(runner(1), {held}, same(1, {held}), array_fill('no'::text, array[cardinality({held})]), false)",
        ],
        ..ENTRY
    },
    Function {
        name: "mq_fail_as",
        calls: &[
            "select f.failed from (select array[cardinality({held})] as n) as jobs, mq_fail_as(runner(1), {held}, same(1, {held}),
               array_fill('no'::text, n), array_fill(false, n), array_fill(0::bigint, n), array_fill(false, n), false) as f",
            "select f.failed from (select array[cardinality({held})] as n) as jobs, mq_fail_as(runner(1), {held}, same(1, {held}),
               array_fill('no'::text, n), array_fill(true, n), array_fill(null::bigint, n), array_fill(true, n), false) as f",
        ],
        ..ENTRY
    },
    Function {
        name: "mq_release",
        calls: &[
            "select mq_release(runner(1), {held}, same(1, {held}), '0')",
            "select mq_release(runner(1), {held}, same(1, {held}), '1 hour')",
        ],
        ..ENTRY
    },
    named(
        "mq_checkpoint",
        &["select done from mq_checkpoint(runner(1), {one}, 1, '\"far\"', null, 1, '1 hour')"],
    ),
    named("mq_keep_alive", &["select mq_keep_alive(runner(1), {one}, 1, '1 hour')"]),
    choose("mq_promote", &["select promoted from mq_promote({max})"]),
    look("mq_runners_seen", &["select * from mq_runners_seen()"]),
    Function {
        holds_runner: true,
        ..choose("mq_reap",
        &["select * from mq_reap(array[runner(1), runner(2)], array[0, 0])", "select * from mq_reap(array[runner(2)], array[0])"],)
    },
    choose("mq_reap_jobs", &["select mq_reap_jobs()"]),
    choose("mq_refresh_counts", &["select mq_refresh_counts()"]),
    look("mq_sleep", &["select mq_sleep(array[0, 1, (mq_key('a') & 63)::integer])"]),
    look("mq_awaken", &["select mq_awaken(array[(mq_key('a') & 63)::integer])"]),
    look("mq_in_flight", &["select mq_in_flight()"]),
    look("mq_wake_channel", &["select mq_wake_channel()"]),
    // Operators and viewers.
    Function {
        ends: true,
        errors: &[MOVING],
        ..named("mq_cancel", &["select mq_cancel({jobs})", "select mq_cancel({held})"])
    },
    Function {
        errors: &[MOVING],
        ..named("mq_clear", &["select mq_clear(array['free', 'with 1', 'leased'])"])
    },
    Function {
        errors: &[MOVING],
        ..named("mq_clear_all", &["select mq_clear_all()"])
    },
    named("mq_requeue", &["select mq_requeue({jobs})"]),
    Function {
        ends: true,
        ..named("mq_discard", &["select mq_discard({jobs})"])
    },
    look("mq_dead_jobs", &["select * from mq_dead_jobs()"]),
    look("mq_job_errors", &["select * from mq_job_errors(job(12))"]),
    look("mq_counts", &["select * from mq_counts()"]),
];

/// As [`choose`], in any isolation level.
const fn choose_any(name: &'static str, calls: &'static [&'static str]) -> Function {
    Function { name, calls, ..ENTRY }
}

/// A call with its blanks filled in.
pub fn call(text: &str, part: Part, first: bool, new: u32) -> String {
    let of = |choices: [&'static str; 4]| match part {
        Part::All => choices[0],
        Part::Backwards => choices[1],
        Part::Lower => choices[2],
        Part::Upper => choices[3],
    };
    text.replace(
        "{jobs}",
        of(["jobs(1, 35)", "jobs(35, 1)", "jobs(3, 16)", "jobs(17, 35)"]),
    )
    .replace(
        "{held}",
        of([
            "those(7, 8, 14, 30)",
            "those(30, 14, 8, 7)",
            "those(7, 8)",
            "those(14, 30)",
        ]),
    )
    .replace("{one}", of(["job(14)", "job(14)", "job(8)", "job(14)"]))
    .replace(
        "{spawned}",
        of([
            "[job(7), job(101), job(102)]",
            "[job(102), job(101), job(7)]",
            "[job(101), job(102)]",
            "[job(103), job(104)]",
        ]),
    )
    .replace("{max}", of(["1000", "1000", "2", "1000"]))
    .replace("{me}", if first { "1" } else { "3" })
    .replace("{new}", &new.to_string())
}
