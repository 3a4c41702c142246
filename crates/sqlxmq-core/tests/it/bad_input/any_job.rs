//! Any job at all, in any transaction, under any settings: refused before the connection is touched, or it comes back equal.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use sqlxmq_core::config::MAX_DURATION;
use sqlxmq_core::{SpawnError, spawn_all};
use uuid::Uuid;

use super::given::{Given, comes_back};
use super::sessions::{ODD_SETTINGS, hostile_schema};
use crate::support::{ByHand, nowhere, queue};

/// Around the bounds, and whatever a `char` can be.
fn text(limit: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => ".{0,12}",
        12 => "[A-Za-z'\"\\\\{}$%,;\u{e9}\u{1f980}\u{202e}]{1,20}",
        1 => vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect::<String>()),
        1 => (limit - 3..limit + 3).prop_map(|bytes| "x".repeat(bytes)),
        1 => (limit / 2 - 2..limit / 2 + 2).prop_map(|chars| "\u{e9}".repeat(chars)),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        10 => (0..10_u64, 0..1_000_000_000_u32),
        10 => (0..=MAX_DURATION.as_secs(), Just(0)),
        1 => (MAX_DURATION.as_secs() - 1..MAX_DURATION.as_secs() + 2, 0..1_000_000_000_u32),
        1 => (any::<u64>(), 0..1_000_000_000_u32),
    ]
    .prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

/// JSON as people, and machines, write it: odd spaces, odd numbers, odd escapes, keys given twice.
fn json() -> impl Strategy<Value = String> {
    let space = || "[ \t\r\n]{0,2}";
    let word = || {
        prop_oneof![
            "\"(\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|[ !#-\\[\\]-~\u{e9}\u{1f980}]){0,8}\"",
            "\"(a|b)?\"",
        ]
    };
    let leaf = prop_oneof![
        word(),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?",
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..4), space())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},")))),
            (vec((word(), inner), 0..4), space()).prop_map(|(items, space)| {
                let items: Vec<String> = items
                    .iter()
                    .map(|(key, value)| format!("{key}{space}:{value}"))
                    .collect();
                format!("{{{space}{}}}{space}", items.join(","))
            }),
        ]
    })
}

fn given() -> impl Strategy<Value = Given> {
    let id = prop_oneof![40 => any::<u128>(), 1 => Just(0)];
    let texts = (text(1_024), text(1_024), text(16_384));
    let durations = (duration(), duration(), duration(), option::of(duration()));
    let retries = prop_oneof![30 => 0..=1_000_000_u32, 1 => 999_999..1_000_002_u32, 1 => any::<u32>()];
    let payload = (
        option::of(prop_oneof![20 => json(), 1 => ".{0,12}"]),
        option::of(vec(any::<u8>(), 0..200)),
        prop_oneof![30 => Just(1_000_000_usize), 1 => 0..300_usize, 1 => any::<usize>()],
    );
    (id, texts, durations, retries, any::<bool>(), payload).prop_map(
        |(id, texts, durations, retries, ordered, payload)| Given {
            id: Uuid::from_u128(id),
            name: texts.0,
            channel_name: texts.1,
            channel_args: texts.2,
            ordered,
            retries,
            retry_backoff: durations.0,
            max_backoff: durations.1,
            delay: durations.2,
            commit_interval: durations.3,
            json: payload.0,
            bytes: payload.1,
            payload_limit: payload.2,
        },
    )
}

/// What surrounds a spawn.
#[derive(Debug, Clone)]
struct Surroundings {
    level: &'static str,
    /// `None`: no savepoint. Else whether it is rolled back.
    savepoint: Option<bool>,
    settings: Vec<(&'static str, &'static str)>,
}

fn surroundings() -> impl Strategy<Value = Surroundings> {
    (
        select(vec!["read committed", "repeatable read", "serializable"]),
        option::of(any::<bool>()),
        vec(select(ODD_SETTINGS.to_vec()), 0..6),
    )
        .prop_map(|(level, savepoint, settings)| Surroundings {
            level,
            savepoint,
            settings,
        })
}

struct World {
    db: devpg::TestDb,
    connection: PgConnection,
    runner: ByHand,
}

impl World {
    async fn new() -> Self {
        let db = queue().await;
        let mut connection = db.connect().await;
        hostile_schema(&mut connection).await;
        let runner = ByHand::register(db.pool()).await;
        Self {
            db,
            connection,
            runner,
        }
    }

    async fn try_it(&mut self, around: &Surroundings, jobs: &[Given]) -> Result<(), String> {
        let text = |error: sqlx::Error| error.to_string();
        let builders: Vec<_> = jobs.iter().map(Given::builder).collect();
        // Where there is no server, only what needs none can be refused.
        let without_server = spawn_all(&nowhere(), &builders).await;
        let is_refused = match without_server {
            Err(SpawnError::Invalid { .. } | SpawnError::DuplicateId { .. }) => true,
            Err(SpawnError::Store { .. }) => false,
            other => return Err(format!("without a server: {other:?}")),
        };

        self.connection.execute("reset all").await.map_err(text)?;
        for (name, value) in &around.settings {
            sqlx::query("select set_config($1, $2, false)")
                .bind(name)
                .bind(value)
                .execute(&mut self.connection)
                .await
                .map_err(text)?;
        }
        let mut transaction = self.connection.begin().await.map_err(text)?;
        let level = format!("set transaction isolation level {}", around.level);
        transaction.execute(AssertSqlSafe(level)).await.map_err(text)?;
        let outcome = match around.savepoint {
            None => spawn_all(&mut *transaction, &builders).await,
            Some(is_rolled_back) => {
                let mut savepoint = transaction.begin().await.map_err(text)?;
                let outcome = spawn_all(&mut *savepoint, &builders).await;
                match is_rolled_back {
                    true => savepoint.rollback().await.map_err(text)?,
                    false => savepoint.commit().await.map_err(text)?,
                }
                outcome
            }
        };
        let has_written: bool = sqlx::query_scalar("select pg_current_xact_id_if_assigned() is not null")
            .fetch_one(&mut *transaction)
            .await
            .map_err(text)?;
        transaction.commit().await.map_err(text)?;

        let stored = match (is_refused, outcome) {
            (true, Err(SpawnError::Invalid { .. } | SpawnError::DuplicateId { .. })) if !has_written => &[],
            (false, Ok(_)) if around.savepoint == Some(true) => &[],
            (false, Ok(_)) => jobs,
            (_, other) => {
                return Err(format!(
                    "refused: {is_refused}, wrote: {has_written}, then {other:?}"
                ));
            }
        };
        // Whatever passed for JSON is JSON for PostgreSQL, too: it may be asked for `payload_json::json`.
        sqlx::query("select count(payload_json::json) from mq_jobs")
            .execute(self.db.pool())
            .await
            .map_err(text)?;
        let seen = comes_back(self.db.pool(), &mut self.runner, stored).await?;
        let expected: BTreeSet<Uuid> = stored.iter().map(|job| job.id).collect();
        match seen.into_iter().collect::<BTreeSet<_>>() == expected {
            true => Ok(()),
            false => Err("other jobs came back".to_owned()),
        }
    }
}

#[test]
fn any_job_is_refused_before_the_connection_is_touched_or_comes_back_equal() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let world = RefCell::new(runtime.block_on(World::new()));
    let config = ProptestConfig {
        // Each takes some 30 ms.
        cases: ProptestConfig::default().cases / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&(surroundings(), vec(given(), 1..4)), |(around, jobs)| {
        let outcome = runtime.block_on(world.borrow_mut().try_it(&around, &jobs));
        outcome.map_err(|what| {
            // What it left behind is not the fault of the next, simpler one.
            let world = world.borrow();
            let cleaned = runtime.block_on(sqlxmq_core::clear_all(world.db.pool()));
            TestCaseError::fail(format!("{what}; cleaned: {}", cleaned.is_ok()))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let world = world.into_inner();
    runtime.block_on(async {
        world.connection.close().await.expect("goodbye");
        world.db.close().await;
    });
}
