//! Odd servers and sessions, line by line: what a spawn in them is told, and that everything can go on afterwards.

use std::borrow::Cow;

use devpg::TestDb;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, raw_sql};
use sqlxmq_core::{
    AdminError, CommitError, JobRunnerOptions, RunError, SpawnError, cancel, clear, clear_all, commit,
    counts, dead_jobs, discard, exists, job_errors, requeue, spawn_all,
};
use uuid::Uuid;

use super::given::{Given, comes_back};
use crate::support::{ByHand, job, queue};

/// Settings that people have, or that attack what a statement means.
pub const ODD_SETTINGS: &[(&str, &str)] = &[
    ("timezone", "Asia/Kathmandu"),
    ("timezone", "Pacific/Apia"),
    ("timezone", "<odd>-13:45"),
    ("datestyle", "SQL, DMY"),
    ("datestyle", "German, YMD"),
    ("intervalstyle", "sql_standard"),
    ("intervalstyle", "iso_8601"),
    ("search_path", "hostile, pg_catalog, public"),
    ("search_path", "pg_temp, hostile, public, pg_catalog"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "on"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("statement_timeout", "2147483647"),
    ("lock_timeout", "2147483647"),
    ("plan_cache_mode", "force_generic_plan"),
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_indexscan", "off"),
    ("enable_nestloop", "off"),
    ("join_collapse_limit", "1"),
    ("geqo_threshold", "2"),
    ("work_mem", "64kB"),
    ("synchronous_commit", "off"),
    ("session_replication_role", "replica"),
    ("row_security", "off"),
    ("xmloption", "document"),
    ("lc_messages", "C"),
    ("default_transaction_deferrable", "on"),
    ("default_table_access_method", "heap"),
    ("client_min_messages", "debug5"),
    ("plpgsql.variable_conflict", "use_column"),
    ("plpgsql.variable_conflict", "use_variable"),
    ("plpgsql.extra_errors", "strict_multi_assignment,too_many_rows"),
    ("sqlxmq.notify", "off"),
    ("sqlxmq.notify", "nonsense"),
];

/// A schema that has what the queue has, and means harm.
pub async fn hostile_schema(connection: &mut PgConnection) {
    connection
        .execute(raw_sql(
            "create schema hostile;
             create table hostile.mq_jobs (id text);
             create temp table mq_jobs (id text);
             create function hostile.mq_key(variadic parts text[]) returns bigint language sql as 'select 1 / 0';
             create function hostile.mq_now() returns timestamptz language sql as 'select timestamptz ''-infinity''';
             create function hostile.octet_length(text) returns integer language sql as 'select 1 / 0';
             create function hostile.array_agg(text) returns text language sql as 'select $1';
             create function hostile.never(uuid, uuid) returns boolean language sql as 'select false';
             create operator hostile.= (leftarg = uuid, rightarg = uuid, function = hostile.never);",
        ))
        .await
        .expect("a hostile schema");
}

/// What a line is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    /// It is done.
    Done,
    /// The schema is missing: somebody has to migrate.
    SchemaMissing,
    /// The statement failed, with that SQLSTATE. `true`: trying again may help.
    Failed(&'static str, bool),
}
use Told::{Done, Failed, SchemaMissing};

struct Line {
    what: &'static str,
    /// Which of our migrations the database has.
    migrations: fn(i64) -> bool,
    /// What was done to the database since, by its owner.
    database: &'static str,
    /// What was done to the session. `@` is a number of this test's own.
    session: &'static str,
    told: Told,
}

const ALL: fn(i64) -> bool = |_| true;

#[rustfmt::skip]
const LINES: [Line; 17] = [
    Line { what: "as usual", migrations: ALL, database: "", session: "", told: Done },
    Line { what: "no schema", migrations: |_| false, database: "", session: "", told: SchemaMissing },
    Line { what: "a schema as old as can be", migrations: |version| version <= 20, database: "", session: "", told: SchemaMissing },
    Line { what: "a schema that is older", migrations: |version| version < 50, database: "", session: "", told: SchemaMissing },
    Line {
        what: "a schema that is newer",
        migrations: ALL,
        database: "alter table mq_jobs add column priority integer not null default 0;
            create table mq_unique (key bigint primary key);
            create function mq_pause(channel_name text) returns boolean language sql as 'select true';
            insert into mq_migrations (version, description, success, checksum, execution_time) values (9000, 'newer', true, '', 0)",
        session: "",
        told: Done,
    },
    Line { what: "a search path without the queue", migrations: ALL, database: "create schema elsewhere", session: "set search_path = elsewhere", told: SchemaMissing },
    Line { what: "an empty search path", migrations: ALL, database: "", session: "set search_path = ''", told: SchemaMissing },
    Line {
        what: "a role without rights",
        migrations: ALL,
        database: "create role stranger_@; grant usage on schema public to stranger_@",
        session: "set role stranger_@",
        told: Failed("42501", false),
    },
    Line {
        what: "a role without the schema",
        migrations: ALL,
        database: "create role stranger_@; revoke usage on schema public from public",
        session: "set role stranger_@",
        told: SchemaMissing,
    },
    Line { what: "a standby, as far as one sees", migrations: ALL, database: "", session: "set default_transaction_read_only = on", told: Failed("25006", true) },
    Line { what: "a statement timeout of 1 ms, and locks", migrations: ALL, database: "", session: "set statement_timeout = 1", told: Failed("57014", true) },
    Line { what: "a lock timeout of 1 ms, and locks", migrations: ALL, database: "", session: "set lock_timeout = 1", told: Failed("55P03", true) },
    Line { what: "a time zone with minutes", migrations: ALL, database: "", session: "set time zone 'Asia/Kathmandu'; set datestyle = 'SQL, DMY'", told: Done },
    Line { what: "a time zone of its own", migrations: ALL, database: "", session: "set time zone '<odd>-13:45'; set intervalstyle = 'iso_8601'", told: Done },
    Line { what: "strings and bytes of old", migrations: ALL, database: "", session: "set standard_conforming_strings = off; set bytea_output = 'escape'", told: Done },
    Line { what: "a hostile search path", migrations: ALL, database: "", session: "set search_path = pg_temp, hostile, pg_catalog, public", told: Done },
    Line { what: "a role's timeout that is not met", migrations: ALL, database: "", session: "set statement_timeout = '1min'; set idle_in_transaction_session_timeout = '1min'", told: Done },
];

/// A database with some of our migrations.
async fn database(wanted: fn(i64) -> bool) -> TestDb {
    let all = sqlxmq_core::migrator();
    if all.iter().all(|migration| wanted(migration.version)) {
        return queue().await;
    }
    let db = TestDb::create_empty().await;
    let some = Migrator {
        migrations: Cow::Owned(
            all.iter()
                .filter(|migration| wanted(migration.version))
                .cloned()
                .collect(),
        ),
        ..Migrator::DEFAULT
    };
    let mut connection = db.connect().await;
    some.run_direct(None, &mut connection, false)
        .await
        .expect("an older schema");
    db
}

fn told(error: &(dyn std::error::Error + 'static), is_transient: bool) -> Result<Told, String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(sqlx::Error::Database(answer)) = error.downcast_ref() {
            let code = answer.code().unwrap_or_default();
            let known = LINES.iter().find_map(|line| match line.told {
                Failed(known, _) if known == code => Some(known),
                _ => None,
            });
            return Ok(Failed(known.ok_or_else(|| answer.to_string())?, is_transient));
        }
        next = error.source();
    }
    Err(error.to_string())
}

fn told_of_spawn(outcome: Result<Vec<Uuid>, SpawnError>) -> Result<Told, String> {
    match outcome {
        Ok(_) => Ok(Done),
        Err(SpawnError::SchemaMissing { .. }) => Ok(SchemaMissing),
        Err(error) => told(&error, error.is_transient()),
    }
}

fn told_of_commit(outcome: Result<(), CommitError>) -> Result<Told, String> {
    match outcome {
        Ok(()) | Err(CommitError::Expired { .. }) => Ok(Done),
        Err(CommitError::SchemaMissing { .. }) => Ok(SchemaMissing),
        Err(error) => told(&error, error.is_transient()),
    }
}

fn told_of_admin<T>(outcome: Result<T, AdminError>) -> Result<Told, String> {
    match outcome {
        Ok(_) => Ok(Done),
        Err(AdminError::SchemaMissing { .. }) => Ok(SchemaMissing),
        Err(error) => told(&error, error.is_transient()),
    }
}

/// Calls each function in a savepoint of its own, and returns who was told what.
async fn ask_everything(
    connection: &mut PgConnection,
    given: &Given,
) -> Vec<(&'static str, Result<Told, String>)> {
    let mut answers = Vec::new();
    let ids = [Uuid::from_u128(1)];
    macro_rules! ask {
        ($name:literal, $told:ident, |$on:ident| $call:expr) => {{
            let mut $on = connection.begin().await.expect("a savepoint");
            let answer = $told($call.await);
            $on.rollback().await.expect("the caller's transaction");
            answers.push(($name, answer));
        }};
    }
    ask!("spawn", told_of_spawn, |on| spawn_all(
        &mut *on,
        &[given.builder()]
    ));
    ask!("commit", told_of_commit, |on| commit(&mut *on, &ids));
    ask!("cancel", told_of_admin, |on| cancel(&mut *on, &ids));
    ask!("clear", told_of_admin, |on| clear(&mut *on, &["nowhere"]));
    ask!("clear_all", told_of_admin, |on| clear_all(&mut *on));
    ask!("requeue", told_of_admin, |on| requeue(&mut *on, &ids));
    ask!("discard", told_of_admin, |on| discard(&mut *on, &ids));
    ask!("exists", told_of_admin, |on| exists(&mut *on, ids[0]));
    ask!("counts", told_of_admin, |on| counts(&mut *on));
    ask!("dead_jobs", told_of_admin, |on| dead_jobs(&mut *on, 1, None));
    ask!("job_errors", told_of_admin, |on| job_errors(&mut *on, ids[0]));
    answers
}

/// What finds nothing to change may succeed where others can't.
fn may_be_done(name: &str, told: Told) -> bool {
    let only_reads = ["exists", "counts", "dead_jobs", "job_errors"].contains(&name);
    match told {
        Failed("25006", _) => only_reads || ["cancel", "clear", "clear_all"].contains(&name),
        _ => false,
    }
}

async fn try_line(line: &Line, db: &TestDb) -> Vec<String> {
    let Line { what, session, .. } = line;
    let number: String =
        sqlx::query_scalar("select oid::text from pg_database where datname = current_database()")
            .fetch_one(db.pool())
            .await
            .expect("a number");
    let run = async |connection: &mut PgConnection, sql: &str| {
        raw_sql(AssertSqlSafe(sql.replace('@', &number)))
            .execute(connection)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    };
    let mut connection = db.connect().await;
    hostile_schema(&mut connection).await;
    run(&mut connection, line.database).await;
    run(&mut connection, session).await;
    let has_queue = (line.migrations)(i64::MAX);
    let mut blocker = db.pool().begin().await.expect("a transaction");
    if what.contains("and locks") {
        // Not the tables that are only read, since a reader would wait as well.
        blocker
            .execute("lock table mq_jobs, mq_held, mq_dead, mq_errors, mq_ready, mq_counts_age in access exclusive mode")
            .await
            .expect("a lock");
    }

    let given = Given::with(|job| {
        job.json = Some(r#"{"a": "\\", "a": 1e400}"#.to_owned());
        job.bytes = Some(b"\\x00\0".to_vec());
        job.delay = std::time::Duration::new(3_600, 1);
    });
    let mut wrong = Vec::new();
    // A timeout of a millisecond that fires while its statement ends meets the next one.
    let mut tries = 0;
    let mut transaction = loop {
        match connection.begin().await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014") && tries < 50 => {
                tries += 1;
            }
            begun => break begun.expect("a transaction"),
        }
    };
    for (name, seen) in ask_everything(&mut transaction, &given).await {
        if seen != Ok(line.told) && !(seen == Ok(Done) && may_be_done(name, line.told)) {
            wrong.push(format!("{what}: {name}: {seen:?}, not {:?}", line.told));
        }
    }
    // Without a savepoint, what could be done is there after the commit, and what could not is not.
    let outcome = told_of_spawn(spawn_all(&mut *transaction, &[given.builder()]).await);
    if outcome != Ok(line.told) {
        wrong.push(format!("{what}: spawn: {outcome:?}"));
    }
    let committed = transaction.commit().await;
    if committed.is_err() {
        wrong.push(format!("{what}: commit: {committed:?}"));
    }
    blocker.rollback().await.expect("the locks back");
    connection.close().await.expect("goodbye");

    if has_queue {
        let mut runner = ByHand::register(db.pool()).await;
        let bystander = job("bystander");
        bystander
            .spawn(db.pool())
            .await
            .expect("a job of somebody else's");
        let stored = if line.told == Done { vec![&given] } else { vec![] };
        match comes_back(db.pool(), &mut runner, &stored).await {
            Ok(seen) if seen.len() == stored.len() + 1 => {}
            other => wrong.push(format!("{what}: {other:?} came back")),
        }
    }
    let mut owner = db.connect().await;
    run(&mut owner, "drop schema hostile cascade").await;
    if line.database.contains("stranger") {
        run(&mut owner, "drop owned by stranger_@; drop role stranger_@").await;
    }
    owner.close().await.expect("goodbye");
    wrong
}

#[tokio::test]
async fn any_line_of_the_table_of_sessions_is_told_what_is_wrong() {
    let mut wrong = Vec::new();
    let shared = queue().await;
    for line in &LINES {
        let is_changed = !(line.migrations)(i64::MAX) || !line.database.is_empty();
        if is_changed {
            let db = database(line.migrations).await;
            wrong.extend(try_line(line, &db).await);
            db.close().await;
        } else {
            wrong.extend(try_line(line, &shared).await);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a runner is told where it starts.
#[tokio::test]
async fn a_runner_is_told_what_is_wrong_with_the_server() {
    let mut wrong = Vec::new();
    let db = queue().await;
    let empty = TestDb::create_empty().await;
    for (what, is_migrated, options, is_expected) in RUNNERS {
        let db = if is_migrated { &db } else { &empty };
        let connect = (*db.pool().connect_options()).clone();
        let connect = options(connect);
        let outcome = JobRunnerOptions::new(db.pool(), drop)
            .set_connect_options(connect)
            .run()
            .await;
        match outcome {
            Err(error) if is_expected(&error) => {}
            other => wrong.push(format!("{what}: {other:?}")),
        }
    }
    let connect = (*db.pool().connect_options())
        .clone()
        .options([("role", "pg_monitor")]);
    let polling = JobRunnerOptions::new(db.pool(), drop)
        .set_connect_options(connect)
        .set_listen(false)
        .run()
        .await;
    if !matches!(&polling, Err(error) if !error.is_transient()) {
        wrong.push(format!("a role without rights that polls: {polling:?}"));
    }
    let with_nul = JobRunnerOptions::new(db.pool(), drop)
        .set_channel_names(&["fine", "a\0b"])
        .run()
        .await;
    if !matches!(&with_nul, Err(error @ RunError::ChannelNameNul { name }) if name == "a\0b" && !error.is_transient())
    {
        wrong.push(format!("NUL in a channel name: {with_nul:?}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Options = sqlx::postgres::PgConnectOptions;
type RunnerLine = (&'static str, bool, fn(Options) -> Options, fn(&RunError) -> bool);

#[rustfmt::skip]
const RUNNERS: [RunnerLine; 6] = [
    ("no schema", false, |options| options, |error| matches!(error, RunError::SchemaMissing) && !error.is_transient()),
    ("a search path without the queue", true, |options| options.options([("search_path", "elsewhere")]), |error| matches!(error, RunError::SchemaMissing)),
    ("a role without rights", true, |options| options.options([("role", "pg_monitor")]), |error| matches!(error, RunError::Store { .. } | RunError::Connect { .. }) && !error.is_transient()),
    ("a role that is not there", true, |options| options.username("nobody_at_all"), |error| matches!(error, RunError::Connect { .. }) && !error.is_transient()),
    ("a database that is not there", true, |options| options.database("no_such_database"), |error| matches!(error, RunError::Connect { .. }) && !error.is_transient()),
    ("a server that is not there", true, |options| options.host("/nonexistent").socket("/nonexistent"), |error| matches!(error, RunError::Connect { .. }) && error.is_transient()),
];
