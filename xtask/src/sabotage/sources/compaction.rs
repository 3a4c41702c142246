//! How tables are made small, and at whose cost they are not.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "tables made small",
        without: "a table is for ever as large as the longest transaction beside it has made it",
        patch: &[(
            "sql/compact.rs",
            "concat!(\"cluster \", $name, \" using \", $name, \"_pkey\")",
            "concat!(\"vacuum \", $name)",
        )],
        turns_red: &[
            "a_table_that_grew_under_an_open_snapshot_shrinks_after_its_end_and_not_before",
            "a_runner_makes_tables_small_and_runs_its_jobs_meanwhile",
        ],
    },
    Source {
        name: "lock that is not waited for",
        without: "one reader that goes on makes everybody wait behind a rewrite that waits for him",
        patch: &[("sql/compact.rs", "lock_timeout = '100ms'", "lock_timeout = '3s'")],
        turns_red: &["a_reader_that_holds_a_table_is_not_waited_for"],
    },
    Source {
        name: "end of a rewrite",
        without: "the queue stands still for as long as a rewrite takes",
        patch: &[(
            "sql/compact.rs",
            "statement_timeout = '2500ms'",
            "statement_timeout = '60s'",
        )],
        turns_red: &["a_rewrite_that_takes_long_is_given_up"],
    },
    Source {
        name: "vacuum that gives way",
        without: "a migration waits for a minute behind a vacuum, and everybody else behind the migration",
        patch: &[("sql/compact.rs", "not waiting.granted", "false")],
        turns_red: &["a_vacuum_gives_way_to_whoever_waits_for_its_table"],
    },
    Source {
        name: "vacuum of a runner that is gone",
        without: "a vacuum that nobody looks after any more gives way to nobody",
        patch: &[(
            "sql/compact.rs",
            "'client_connection_check_interval', '1s'",
            "'client_connection_check_interval', '0'",
        )],
        turns_red: &["a_vacuum_ends_with_whoever_has_begun_it"],
    },
    Source {
        name: "rows that are left",
        without: "under a pin tables are vacuumed in vain, again and again, and rewritten",
        patch: &[(
            "compact/round.rs",
            "bounds.is_littered(before) && dead(after)",
            "false && dead(after)",
        )],
        turns_red: &["a_table_that_grew_under_an_open_snapshot_shrinks_after_its_end_and_not_before"],
    },
    Source {
        name: "pause under a pin",
        without: "vacuums in vain whose reason nobody sees cost scan after scan",
        patch: &[("compact/pace.rs", "(self.pinned_pause * 2)", "self.pinned_pause")],
        turns_red: &["the_pause_grows_while_nobody_is_seen_who_pins"],
    },
    Source {
        name: "horizon",
        without: "all that has died under a pin is read in vain, again and again",
        patch: &[("sql/compact.rs", "limit 1\";", "limit 0\";")],
        turns_red: &["a_vacuum_in_vain_is_not_repeated_until_the_snapshot_is_gone"],
    },
    Source {
        name: "what is in a table",
        without: "a table is rewritten that is as large as it has to be",
        patch: &[(
            "compact/bounds.rs",
            "table.bytes / self.spare > needed",
            "table.bytes > 0",
        )],
        turns_red: &[
            "a_table_with_many_live_rows_is_vacuumed_and_not_rewritten",
            "a_table_is_rewritten_when_it_is_large_and_what_is_in_it_little",
        ],
    },
    Source {
        name: "what a rewrite reads",
        without: "a large queue stands still again and again for rewrites that are not done in time",
        patch: &[("compact/bounds.rs", "needed <= self.copied_bytes", "true")],
        turns_red: &["a_table_is_not_rewritten_if_that_would_take_long"],
    },
    Source {
        name: "tables of somebody else",
        without: "a runner that owns no table complains about it every ten seconds",
        patch: &[
            ("compact/bounds.rs", "table.is_ours && ", ""),
            ("compact/round.rs", "table.is_ours && ", ""),
        ],
        turns_red: &[
            "a_runner_that_owns_no_table_leaves_them_alone_and_says_nothing",
            "a_table_of_somebody_else_is_left_alone",
        ],
    },
    Source {
        name: "one that compacts",
        without: "each of many runners vacuums what the others are at",
        patch: &[(
            "sql/compact.rs",
            "select pg_try_advisory_lock(mq_lock_base() + 129)",
            "select true",
        )],
        turns_red: &["one_session_at_a_time_compacts"],
    },
    Source {
        name: "tables that were counted",
        without: "after a crash a full table is taken for an empty one, and written anew while everybody waits",
        patch: &[("compact/round.rs", "after.vacuums == before.vacuums || ", "")],
        turns_red: &["a_table_that_no_vacuum_has_counted_is_not_rewritten"],
    },
    Source {
        name: "compaction switched off",
        without: "tables are locked where a standby or a plugin can't stand it",
        patch: &[(
            "runner/settings.rs",
            "self.compaction && self.listen",
            "self.listen",
        )],
        turns_red: &["a_runner_that_is_told_so_leaves_the_tables_alone"],
    },
];
