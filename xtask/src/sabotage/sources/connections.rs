//! The runner's own connections: where they lead, and what is left in them.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "connections of its own",
        without: "a pool of one connection, or one that jobs have used up, keeps its runner from claiming and completing",
        patch: &[
            (
                "runner/session.rs",
                "    pub(crate) options: PgConnectOptions,\n",
                "    pub(crate) options: PgConnectOptions,\n    pub(crate) pool: sqlx::PgPool,\n",
            ),
            (
                "runner/session.rs",
                "let mut connection = target.options_for(role).connect().await?;",
                "let _ = target.options_for(role);\n    let mut connection = target.pool.acquire().await?.leak();",
            ),
            ("runner/session.rs", "use sqlx::{ConnectOptions, ", "use sqlx::{"),
            (
                "runner/session.rs",
                "            options: PgConnectOptions::new_without_pgpass().statement_cache_capacity(0),\n",
                "            options: PgConnectOptions::new_without_pgpass().statement_cache_capacity(0),\n            pool: unreachable!(),\n",
            ),
            (
                "runner/options.rs",
                "        Ok(Target {\n            options,\n",
                "        Ok(Target {\n            options,\n            pool: self.pool.clone(),\n",
            ),
        ],
        turns_red: &["the_runner_does_not_need_the_pool"],
    },
    Source {
        name: "a server that can write",
        without: "a runner that a failover has led to a standby stays there, and each of its statements fails",
        patch: &[
            (
                "runner/session.rs",
                "if store::is_standby(&mut connection).await? {",
                "if false && store::is_standby(&mut connection).await? {",
            ),
            ("runner/error/connection.rs", "| \"25006\" ", ""),
        ],
        turns_red: &["a_runner_that_was_led_to_a_standby_leaves_it"],
    },
    Source {
        name: "way round a pooler",
        without: "a runner listens on connections that a pooler lends to others between its statements",
        patch: &[
            (
                "runner/options.rs",
                "(None, Some(url)) => url.parse()",
                "(None, Some(url)) if url.is_empty() => url.parse()",
            ),
            (
                "runner/options.rs",
                "(None, None) => (*self.pool.connect_options()).clone()",
                "(None, _) => (*self.pool.connect_options()).clone()",
            ),
        ],
        turns_red: &["a_runner_leads_its_own_connections_where_it_is_told_and_its_jobs_use_the_pool"],
    },
    Source {
        name: "sessions of others",
        without: "whoever gets a pooler's connection after a runner has its settings, and commits that are not durable",
        patch: &[(
            "runner/options.rs",
            "keeps_sessions: self.settings.listen,",
            "keeps_sessions: true,",
        )],
        turns_red: &[
            "a_runner_that_does_not_listen_leaves_no_setting_in_sessions_that_a_pooler_lends_to_others",
        ],
    },
    Source {
        name: "plans that are stale",
        without: "a statement that a migration has changed the type of fails for as long as its connection lives",
        patch: &[(
            "runner/session.rs",
            "&& !plan_is_stale(error)",
            "&& (true || !plan_is_stale(error))",
        )],
        turns_red: &["a_statement_that_a_migration_has_made_stale_is_prepared_anew"],
    },
];
