//! Who may do what: every role of docs/operations.md against every function, table and sequence, with real logins.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use devpg::{TestDb, eventually};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgPool, raw_sql};
use sqlxmq_core::{CompactError, CurrentJob, JobBuilder, SpawnError};

use crate::runner_support::{given, runner, until_state};

const ROLES: [&str; 4] = ["queue_producer", "queue_runner", "queue_viewer", "queue_operator"];

/// A login that is a member of no group.
const STRANGER: &str = "queue_stranger";

/// Every function that others call: its name, a harmless call, and who may make it (p, r, v, o: the first letters).
#[rustfmt::skip]
const FUNCTIONS: [(&str, &str, &str); 39] = [
    ("mq_spawn", "mq_spawn('a')", "p"),
    ("mq_spawn_one", "mq_spawn_one(gen_random_uuid(), 'a', '', '', false, 1, 1, 1, 0, null, null, null)", "p"),
    ("mq_spawn_all", "mq_spawn_all(array[gen_random_uuid()], '{a}', '{\"\"}', '{\"\"}', '{f}', '{1}', '{1}', '{1}', '{0}', '{null}', '{null}', '{null}')", "p"),
    ("mq_spawn_all_at", "mq_spawn_all_at(array[gen_random_uuid()], '{a}', '{\"\"}', '{\"\"}', '{f}', '{1}', '{1}', '{1}', '{0}', '{null}', '{null}', '{null}', '{0}')", "p"),
    ("mq_commit", "mq_commit('{}')", "p"),
    ("mq_exists", "mq_exists(gen_random_uuid())", "pvo"),
    ("mq_register", "mq_register(gen_random_uuid(), '1 minute', 'a test')", "r"),
    ("mq_renew", "mq_renew(gen_random_uuid(), '1 minute')", "r"),
    ("mq_audit", "mq_audit(gen_random_uuid(), '{}', '{}', 1)", "r"),
    ("mq_unregister", "mq_unregister(gen_random_uuid())", "r"),
    ("mq_claim_by_name", "mq_claim_by_name(gen_random_uuid(), 1, 1, 1, null, true, null, false)", "r"),
    ("mq_claim_by_channel", "mq_claim_by_channel(gen_random_uuid(), 1, 1, 1, null, '{1}', 0, null, false)", "r"),
    ("mq_payloads", "mq_payloads('{}')", "r"),
    ("mq_complete", "mq_complete(gen_random_uuid(), '{}', '{}', true)", "r"),
    ("mq_complete_and_claim", "mq_complete_and_claim(gen_random_uuid(), '{}', '{}', 1, null, '{}')", "r"),
    ("mq_fail", "mq_fail(gen_random_uuid(), '{}', '{}', '{}', true)", "r"),
    ("mq_fail_as", "mq_fail_as(gen_random_uuid(), '{}', '{}', '{}', '{}', '{}', '{}', true)", "r"),
    ("mq_release", "mq_release(gen_random_uuid(), '{}', '{}', '0')", "r"),
    ("mq_checkpoint", "mq_checkpoint(gen_random_uuid(), gen_random_uuid(), 1, null, null, 0, null)", "r"),
    ("mq_keep_alive", "mq_keep_alive(gen_random_uuid(), gen_random_uuid(), 1, '1 minute')", "r"),
    ("mq_promote", "mq_promote(1)", "r"),
    ("mq_runners_seen", "mq_runners_seen()", "rvo"),
    ("mq_reap", "mq_reap('{}', '{}')", "r"),
    ("mq_reap_jobs", "mq_reap_jobs()", "r"),
    ("mq_refresh_counts", "mq_refresh_counts()", "r"),
    ("mq_sleep", "mq_sleep('{1}')", "r"),
    ("mq_awaken", "mq_awaken('{1}')", "r"),
    ("mq_in_flight", "mq_in_flight()", "r"),
    ("mq_wake_channel", "mq_wake_channel()", "r"),
    ("mq_key", "mq_key('a')", "r"),
    ("mq_key", "mq_key('a', 'b')", "r"),
    ("mq_counts", "mq_counts()", "vo"),
    ("mq_dead_jobs", "mq_dead_jobs()", "vo"),
    ("mq_job_errors", "mq_job_errors(gen_random_uuid())", "vo"),
    ("mq_cancel", "mq_cancel('{}')", "o"),
    ("mq_clear", "mq_clear('{}')", "o"),
    ("mq_clear_all", "mq_clear_all()", "o"),
    ("mq_requeue", "mq_requeue('{}')", "o"),
    ("mq_discard", "mq_discard('{}')", "o"),
];

/// Parts of the functions above, for nobody.
#[rustfmt::skip]
const PARTS: [&str; 57] = [
    "mq_advance_mark", "mq_all_names", "mq_await_claims", "mq_await_job", "mq_backoff", "mq_cancel_free", "mq_cancel_in_line", "mq_check_waits", "mq_claim_many", "mq_claim_next_in_line", "mq_clip", "mq_count_now", "mq_count_ready", "mq_end_attempts", "mq_end_running",
    "mq_enqueue", "mq_fence", "mq_forget", "mq_give_heads_turns", "mq_give_next_turns", "mq_give_turns", "mq_hold_lease", "mq_is_due", "mq_is_slept_on", "mq_flows", "mq_leave_line", "mq_leave_runs",
    "mq_linear_backoff", "mq_lock_base",
    "mq_make_ready", "mq_microseconds", "mq_new_id", "mq_next_tags", "mq_note_attempts", "mq_now", "mq_own_lease",
    "mq_pick_by_channel", "mq_place", "mq_require_read_committed", "mq_schedule",
    "mq_secure_claim", "mq_small_bytes", "mq_small_payloads", "mq_run_length", "mq_runs_of", "mq_spawn_now", "mq_spawn_runs", "mq_spawn_unseeing", "mq_start_heads", "mq_take_jobs",
    "mq_take_turns", "mq_usual_backoff", "mq_usual_max_backoff", "mq_wake", "mq_name_bucket", "mq_channel_bucket", "mq_work_bytes",
];

/// Every table, view and sequence: who may read it. Nobody may do anything else.
#[rustfmt::skip]
const RELATIONS: [(&str, &str); 23] = [
    // Column by column: see `PAYLOADS`.
    ("mq_jobs", "vo"),
    ("mq_ready", "vo"),
    ("mq_ready_jobs", "vo"),
    ("mq_scheduled", "vo"),
    ("mq_held", "vo"),
    ("mq_running", "vo"),
    ("mq_line", "vo"),
    ("mq_dead", "vo"),
    ("mq_leases", "vo"),
    ("mq_leftovers", "vo"),
    ("mq_runners", "vo"),
    ("mq_marks", "vo"),
    ("mq_counts_cache", "vo"),
    ("mq_counts_age", "vo"),
    // Payloads, and what the handlers put into their errors.
    ("mq_checkpoints", ""),
    ("mq_errors", ""),
    ("mq_migrations", ""),
    // A view.
    ("mq_first_work", ""),
    ("mq_work", ""),
    ("mq_position", ""),
    ("mq_number", ""),
    ("mq_errors_place_seq", ""),
    ("mq_leftovers_place_seq", ""),
];

/// The columns of `mq_jobs` that nobody reads.
const PAYLOADS: [&str; 2] = ["payload_json", "payload_bytes"];

/// The roles under names of this test's own: roles are the whole server's.
struct Roles {
    db: TestDb,
    suffix: String,
}

impl Roles {
    async fn granted() -> Roles {
        let db = TestDb::create(sqlxmq_core::migrator()).await;
        let suffix: String = sqlx::query_scalar("select substr(md5(current_database()), 1, 12)")
            .fetch_one(db.pool())
            .await
            .expect("a name");
        let roles = Roles { db, suffix };
        for sql in sql_blocks("## Roles and grants") {
            roles.as_owner(&sql).await;
        }
        roles
            .as_owner(&format!("create role login_{STRANGER} login password 'a test'"))
            .await;
        for role in ROLES {
            roles
                .as_owner(&format!(
                    "create role login_{role} login password 'a test' in role {role}"
                ))
                .await;
        }
        roles
    }

    fn named(&self, sql: &str) -> String {
        let roles = ROLES.into_iter().chain([STRANGER]);
        roles.fold(sql.to_owned(), |sql, role| {
            sql.replace(role, &format!("{role}_{}", self.suffix))
        })
    }

    async fn as_owner(&self, sql: &str) {
        let sql = self.named(sql);
        raw_sql(AssertSqlSafe(sql.clone()))
            .execute(self.db.pool())
            .await
            .unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
    }

    fn options(&self, role: &str) -> PgConnectOptions {
        PgConnectOptions::from_str(self.db.url())
            .expect("a URL")
            .username(&self.named(&format!("login_{role}")))
            .password("a test")
    }

    async fn log_in(&self, role: &str) -> PgConnection {
        let connected = self.options(role).connect().await;
        connected.unwrap_or_else(|error| panic!("failed to log in as {role}: {error}"))
    }

    async fn pool_of(&self, role: &str) -> PgPool {
        let connected = PgPool::connect_with(self.options(role)).await;
        connected.unwrap_or_else(|error| panic!("failed to log in as {role}: {error}"))
    }

    async fn drop_all(self) {
        self.as_owner(&format!(
            "drop owned by login_{STRANGER}; drop role login_{STRANGER}"
        ))
        .await;
        for role in ROLES {
            self.as_owner(&format!(
                "drop owned by login_{role}; drop role login_{role}; drop owned by {role}; drop role {role}"
            ))
            .await;
        }
        self.db.close().await;
    }
}

/// The SQL in a section of docs/operations.md.
fn sql_blocks(section: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let text = std::fs::read_to_string(path).expect("docs/operations.md");
    let rest = text
        .split_once(&format!("\n{section}\n"))
        .unwrap_or_else(|| panic!("no section `{section}`"))
        .1;
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let blocks: Vec<String> = section
        .split("```sql\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or(block).to_owned())
        .collect();
    assert!(!blocks.is_empty());
    blocks
}

/// Whether the letters name the role.
fn is_one_of(role: &str, letters: &str) -> bool {
    role.trim_start_matches("queue_")
        .starts_with(|letter| letters.contains(letter))
}

/// "ok", or the SQLSTATE.
async fn outcome(connection: &mut PgConnection, sql: &str) -> String {
    match connection.execute(AssertSqlSafe(sql.to_owned())).await {
        Ok(_) => "ok".to_owned(),
        Err(sqlx::Error::Database(error)) => error.code().map_or_else(String::new, |code| code.into_owned()),
        Err(error) => panic!("{error}\nin: {sql}"),
    }
}

/// What PostgreSQL knows of a function.
#[derive(sqlx::FromRow)]
struct Function {
    name: String,
    signature: String,
    /// A call with nulls, for those who may not make it: rights are looked at before arguments. But the planner needs no right
    /// to know what a strict function makes of a null.
    call: String,
}

async fn functions(roles: &Roles) -> Vec<Function> {
    sqlx::query_as(
        "select p.proname::text as name, p.oid::regprocedure::text as signature,
           format('%s(%s)', p.proname, (
             select string_agg(case a.type when 'interval'::regtype then 'interval ''1 s''' else 'null::' || format_type(a.type, null) end, ', ' order by a.place)
             from unnest(p.proargtypes::oid[]) with ordinality as a (type, place)
           )) as call
         from pg_proc as p
         where p.pronamespace = 'public'::regnamespace
         order by 2",
    )
    .fetch_all(roles.db.pool())
    .await
    .expect("the functions")
}

#[tokio::test]
async fn each_role_can_call_its_functions_and_no_others() {
    let roles = Roles::granted().await;
    let functions = functions(&roles).await;
    let mut wrong = Vec::new();
    let in_matrix: BTreeSet<&str> = FUNCTIONS.iter().map(|line| line.0).chain(PARTS).collect();
    let in_database: BTreeSet<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    for name in in_database.symmetric_difference(&in_matrix) {
        wrong.push(format!(
            "{name} is not in both the matrix and the database: who may call it?"
        ));
    }
    for role in ROLES.into_iter().chain([STRANGER]) {
        let mut connection = roles.log_in(role).await;
        for (_, call, allowed) in FUNCTIONS {
            let expected = if is_one_of(role, allowed) { "ok" } else { "42501" };
            let seen = outcome(&mut connection, &format!("select * from {call}")).await;
            if seen != expected {
                wrong.push(format!("{role}: {call}: {seen}, not {expected}"));
            }
        }
        // All there are, overloads too.
        for Function {
            name,
            signature,
            call,
        } in &functions
        {
            let is_allowed = FUNCTIONS
                .iter()
                .any(|line| line.0 == name && is_one_of(role, line.2));
            if !is_allowed {
                let seen = outcome(&mut connection, &format!("select * from {call}")).await;
                if seen != "42501" {
                    wrong.push(format!("{role}: {signature}: {seen}, not 42501"));
                }
            }
        }
        connection.close().await.expect("goodbye");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    roles.drop_all().await;
}

/// The statements that a role could try on a relation.
fn statements(relation: &str, kind: &str, columns: &[String]) -> Vec<(&'static str, String)> {
    if kind == "S" {
        return vec![
            ("read", format!("select last_value from {relation}")),
            ("write", format!("select nextval('{relation}')")),
            ("write", format!("select setval('{relation}', 1)")),
        ];
    }
    if kind == "v" {
        return columns
            .iter()
            .map(|column| ("read", format!("select {column} from {relation} limit 0")))
            .collect();
    }
    let mut tried = vec![
        ("write", format!("insert into {relation} default values")),
        ("write", format!("delete from {relation} where false")),
        ("write", format!("truncate {relation}")),
        ("write", format!("create index on {relation} ((1))")),
        ("write", format!("alter table {relation} set (fillfactor = 50)")),
        ("write", format!("drop table {relation}")),
        (
            "write",
            format!("create rule r as on insert to {relation} do nothing"),
        ),
        (
            "write",
            format!("do $$ begin lock table {relation} in exclusive mode; end $$"),
        ),
    ];
    for column in columns {
        let purpose = match relation == "mq_jobs" && PAYLOADS.contains(&column.as_str()) {
            true => "payload",
            false => "read",
        };
        tried.push((purpose, format!("select {column} from {relation} limit 0")));
        tried.push((
            "write",
            format!("update {relation} set {column} = default where false"),
        ));
    }
    tried
}

#[tokio::test]
async fn each_role_reads_its_tables_and_writes_none() {
    let roles = Roles::granted().await;
    let relations: Vec<(String, String, Vec<String>)> = sqlx::query_as(
        "select c.relname::text, c.relkind::text, array(
           select quote_ident(a.attname) from pg_attribute as a
           where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
         )
         from pg_class as c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
         order by 1",
    )
    .fetch_all(roles.db.pool())
    .await
    .expect("the relations");
    let mut wrong = Vec::new();
    let in_matrix: BTreeSet<&str> = RELATIONS.iter().map(|line| line.0).collect();
    let in_database: BTreeSet<&str> = relations.iter().map(|line| line.0.as_str()).collect();
    for name in in_database.symmetric_difference(&in_matrix) {
        wrong.push(format!(
            "{name} is not in both the matrix and the database: who may read it?"
        ));
    }
    for role in ROLES.into_iter().chain([STRANGER]) {
        let mut connection = roles.log_in(role).await;
        for (relation, kind, columns) in &relations {
            let readers = RELATIONS
                .iter()
                .find(|line| line.0 == relation)
                .map_or("", |line| line.1);
            for (purpose, statement) in statements(relation, kind, columns) {
                let is_allowed = purpose == "read" && is_one_of(role, readers);
                let expected = if is_allowed { "ok" } else { "42501" };
                let seen = outcome(&mut connection, &statement).await;
                if seen != expected {
                    wrong.push(format!("{role}: {statement}: {seen}, not {expected}"));
                }
            }
        }
        connection.close().await.expect("goodbye");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    roles.drop_all().await;
}

/// Not a table read and not a function called by a viewer shows a payload, whatever has become of the job.
#[tokio::test]
async fn a_payload_is_in_nothing_that_a_viewer_or_operator_can_ask() {
    let roles = Roles::granted().await;
    roles
        .as_owner(
            "select mq_spawn('ready', '\"sesame\"', 'sesame', 'out', 'someone');
             select mq_spawn('later', '\"sesame\"', 'sesame', delay => '1 hour');
             select mq_spawn('line', '\"sesame\"', 'sesame', ordered => true);
             select mq_spawn('held', '\"sesame\"', 'sesame', commit_interval => '1 hour');
             select mq_spawn('dead', '\"sesame\"', 'sesame', retries => 0);
             select mq_spawn('running', '\"sesame\"', 'sesame');
             select mq_register('00000000-0000-0000-0000-00000000000a', '1 minute', 'a test');
             create temp table claimed as select unnest(c.ids) as id from mq_claim_by_name('00000000-0000-0000-0000-00000000000a', 1, 10, 1000,
               array[mq_key('dead'), mq_key('running')], true, null, false) as c;
             select mq_checkpoint('00000000-0000-0000-0000-00000000000a', id, 1, '\"sesame\"', 'sesame', 0, '1 minute') from claimed;
             select mq_fail('00000000-0000-0000-0000-00000000000a', array[id], '{1}', '{no}', true)
               from claimed join mq_jobs using (id) where name = 'dead';
             select mq_refresh_counts(); analyze mq_jobs; analyze mq_checkpoints;",
        )
        .await;
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(attname), ', ') from pg_attribute
         where attrelid = 'mq_jobs'::regclass and attnum > 0 and not attname like 'payload%'",
    )
    .fetch_one(roles.db.pool())
    .await
    .expect("the columns");
    for role in ["queue_viewer", "queue_operator"] {
        let mut viewer = roles.log_in(role).await;
        let mut asked = vec![
            format!("(select {columns} from mq_jobs)"),
            "(select * from pg_stats where schemaname = 'public')".to_owned(),
            "(select e.* from mq_jobs as j, mq_job_errors(j.id) as e)".to_owned(),
            "mq_dead_jobs()".to_owned(),
            "mq_counts()".to_owned(),
            "mq_runners_seen()".to_owned(),
        ];
        let tables = RELATIONS
            .iter()
            .filter(|line| line.0 != "mq_jobs" && is_one_of(role, line.1));
        asked.extend(tables.map(|line| line.0.to_owned()));
        let mut rows = 0;
        for what in asked {
            let sql = format!(
                "select count(*), count(*) filter (where a::text ~ 'sesame|736573616d65') from {what} as a"
            );
            let (seen, with_payload): (i64, i64) = sqlx::query_as(AssertSqlSafe(sql))
                .fetch_one(&mut viewer)
                .await
                .unwrap_or_else(|error| panic!("{role}: {what}: {error}"));
            assert_eq!(with_payload, 0, "{role}: {what}");
            rows += seen;
        }
        assert!(rows > 20, "{rows} rows were looked at");
        viewer.close().await.expect("goodbye");
    }
    roles.drop_all().await;
}

/// The functions run with their owner's rights: nothing of the caller's may run inside of them.
#[tokio::test]
async fn a_caller_cannot_smuggle_code_into_the_owners_functions() {
    let roles = Roles::granted().await;
    let mut producer = roles.log_in("queue_producer").await;
    producer
        .execute(raw_sql(
            "create function pg_temp.caught() returns text language plpgsql as $$ begin
               raise exception 'ran as %', current_user using errcode = 'MQ666';
             end $$;
             create temp table mq_jobs (id uuid default (pg_temp.caught())::uuid, name text);
             create temp table mq_ready (id uuid default (pg_temp.caught())::uuid);
             create temp view mq_marks as select pg_temp.caught() as name_key;
             create function pg_temp.mq_key(text) returns bigint language sql as 'select pg_temp.caught()::bigint';
             create function pg_temp.mq_now() returns timestamptz language sql as 'select pg_temp.caught()::timestamptz';
             create function pg_temp.mq_enqueue(uuid[], integer[]) returns void language sql as 'select pg_temp.caught()';
             create function pg_temp.clock_timestamp() returns timestamptz language sql as 'select pg_temp.caught()::timestamptz';
             create function pg_temp.never(uuid, uuid) returns boolean language sql as 'select pg_temp.caught()::boolean';
             create operator pg_temp.= (leftarg = uuid, rightarg = uuid, function = pg_temp.never);
             set search_path = pg_temp, pg_catalog, public;",
        ))
        .await
        .expect("traps");
    let call_of = |function: &str| FUNCTIONS.iter().find(|line| line.0 == function).expect("a call");
    let (one, batch) = (call_of("mq_spawn_one"), call_of("mq_spawn_all"));
    for (call, expected) in [
        // Not only through others, which have pinned the search path by then.
        (batch.1, "ok"),
        (one.1, "ok"),
        ("mq_spawn('a', '{}', '\\x00', 'b', 'c', ordered => true)", "ok"),
        ("mq_spawn('a', delay => '1 second')", "ok"),
        (
            "mq_commit(array[mq_spawn('a', commit_interval => '1 minute')])",
            "ok",
        ),
        ("mq_exists(gen_random_uuid())", "ok"),
        // The trap does catch.
        ("pg_temp.caught()", "MQ666"),
    ] {
        assert_eq!(
            outcome(&mut producer, &format!("select {call}")).await,
            expected,
            "{call}"
        );
    }
    producer.close().await.expect("goodbye");
    roles.drop_all().await;
}

/// The program's own calls, not only SQL: a producer spawns, a runner runs, and neither does the other's.
#[tokio::test]
async fn producers_and_runners_live_by_their_grants() {
    let roles = Roles::granted().await;
    let producer = roles.pool_of("queue_producer").await;
    let running = roles.pool_of("queue_runner").await;
    let (options, mut errors) = runner(&running, |mut job: CurrentJob| async move {
        if job.attempt() == 1 {
            job.checkpoint(sqlxmq_core::Checkpoint::new().set_raw_json("1"))
                .await?;
            job.keep_alive(std::time::Duration::from_secs(60)).await?;
            return Err("once more".into());
        }
        let transaction = job.pool().begin().await?;
        job.complete_with_transaction(transaction).await?;
        Ok(())
    });
    let mut handle = options.run().await.expect("a runner with its rights alone");
    let mut job = given();
    job.set_retry_backoff(std::time::Duration::ZERO);
    let id = job
        .spawn(&producer)
        .await
        .expect("a spawn with the producer's rights alone");
    assert!(sqlxmq_core::exists(&producer, id).await.expect("an answer"));
    until_state(roles.db.pool(), id, "").await;
    handle.stop().await;
    drop((handle, options));
    assert_eq!(errors.recv().await.expect("an error").1, "once more");
    assert!(errors.recv().await.is_none());

    let refused = JobBuilder::new("not mine").spawn(&running).await;
    assert!(
        matches!(&refused, Err(error @ SpawnError::Store { .. }) if !error.is_transient()),
        "{refused:?}"
    );
    let (options, _errors) = runner(&producer, |_job: CurrentJob| async move { Ok(()) });
    let refused = options.run().await;
    assert!(
        matches!(&refused, Err(error) if !error.is_transient()),
        "{refused:?}"
    );
    for pool in [producer, running] {
        pool.close().await;
    }
    roles.drop_all().await;
}

#[tokio::test]
async fn no_role_has_a_right_on_a_table_but_the_viewers_to_look() {
    let roles = Roles::granted().await;
    let rights: Vec<String> = sqlx::query_scalar(
        "select r.rolname || ' may ' || privilege || ' ' || c.relname
         from pg_class as c cross join pg_roles as r
           cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as privilege
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and r.rolname like '%' || $1
           and has_table_privilege(r.oid, c.oid, privilege)
           and not (privilege = 'select' and r.rolname ~ 'queue_(viewer|operator)'
             and c.relname not in ('mq_jobs', 'mq_checkpoints', 'mq_errors', 'mq_migrations'))
         union all
         select r.rolname || ' may use ' || c.relname
         from pg_class as c cross join pg_roles as r
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'S' and r.rolname like '%' || $1
           and has_sequence_privilege(r.oid, c.oid, 'usage, select, update')",
    )
    .bind(&roles.suffix)
    .fetch_all(roles.db.pool())
    .await
    .expect("the rights");
    assert_eq!(rights, [""; 0]);
    roles.drop_all().await;
}

#[tokio::test]
async fn a_producer_spawns_but_neither_reads_nor_writes_a_table() {
    let roles = Roles::granted().await;
    let mut producer = roles.log_in("queue_producer").await;
    producer
        .execute(
            "select mq_commit(array[mq_spawn('mail', '1', commit_interval => '1 minute', ordered => true)])",
        )
        .await
        .expect("a spawn");
    for sql in [
        "select from mq_jobs",
        "select payload_json from mq_jobs",
        "insert into mq_jobs (id) values (gen_random_uuid())",
        "delete from mq_ready",
        "select nextval('mq_position')",
        "select mq_payloads(array[gen_random_uuid()])",
        "select mq_cancel('{}')",
        "truncate mq_ready",
        "create function mq_now(text) returns text language sql as 'select $1'",
    ] {
        assert_eq!(outcome(&mut producer, sql).await, "42501", "{sql}");
    }
    producer.close().await.expect("goodbye");
    roles.drop_all().await;
}

#[tokio::test]
async fn a_viewer_sees_where_jobs_are_but_no_payload() {
    let roles = Roles::granted().await;
    roles
        .as_owner("select mq_spawn('mail', '{\"secret\": 1}', '\\x00', 'out', 'someone')")
        .await;
    for role in ["queue_viewer", "queue_operator"] {
        let mut viewer = roles.log_in(role).await;
        let seen: (String, String) = sqlx::query_as(
            "select j.name, j.channel_args from mq_ready_jobs as q join mq_jobs as j on j.id = q.id",
        )
        .fetch_one(&mut viewer)
        .await
        .expect("the job");
        assert_eq!(seen, ("mail".to_owned(), "someone".to_owned()));
        for sql in [
            "select * from mq_jobs",
            "select payload_json from mq_jobs",
            "select payload_bytes from mq_jobs",
            "select j from mq_jobs as j",
            "select from mq_jobs where payload_json like '%secret%'",
            "select * from mq_checkpoints",
            "select mq_payloads(array(select id from mq_jobs))",
            "delete from mq_jobs",
            "update mq_dead set attempts = 0",
        ] {
            assert_eq!(outcome(&mut viewer, sql).await, "42501", "{role}: {sql}");
        }
        viewer.close().await.expect("goodbye");
    }
    roles.drop_all().await;
}

#[tokio::test]
async fn a_runner_runs_jobs_with_its_rights_alone() {
    let roles = Roles::granted().await;
    roles
        .as_owner("select mq_spawn('mail', '1'); select mq_spawn('mail', '2', ordered => true)")
        .await;
    let mut runner = roles.log_in("queue_runner").await;
    let left: i64 = {
        runner
            .execute(raw_sql(
                "select mq_register('00000000-0000-0000-0000-00000000000a', '1 minute', 'a test');
                 create temp table claimed as select c.ids
                   from mq_claim_by_name('00000000-0000-0000-0000-00000000000a', 1, 10, 1000, null, true, '1 minute', false) as c;
                 select * from mq_payloads((select ids from claimed));
                 select mq_complete('00000000-0000-0000-0000-00000000000a', ids, array[1, 1], true) from claimed;
                 select mq_unregister('00000000-0000-0000-0000-00000000000a');",
            ))
            .await
            .expect("a life of two jobs");
        sqlx::query_scalar("select count(*) from mq_jobs")
            .fetch_one(roles.db.pool())
            .await
            .expect("what is left")
    };
    assert_eq!(left, 0);
    runner.close().await.expect("goodbye");
    roles.drop_all().await;
}

#[tokio::test]
async fn a_role_without_grants_can_do_nothing() {
    let roles = Roles::granted().await;
    // Whatever public may do, everybody may.
    let open: Vec<String> = sqlx::query_scalar(
        "select p.oid::regprocedure::text from pg_proc as p
         where p.pronamespace = 'public'::regnamespace
           and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee = 0)
         union all
         select c.relname::text from pg_class as c
         where c.relnamespace = 'public'::regnamespace
           and exists (select from aclexplode(c.relacl) as a where a.grantee = 0)",
    )
    .fetch_all(roles.db.pool())
    .await
    .expect("the rights of public");
    assert_eq!(open, [""; 0]);
    roles.drop_all().await;
}

#[tokio::test]
async fn the_monitoring_queries_of_the_docs_run_with_the_viewers_rights() {
    let roles = Roles::granted().await;
    roles
        .as_owner(
            "select mq_spawn('mail'); select mq_spawn('mail', delay => '1 hour');
             select mq_register(gen_random_uuid(), '1 minute', 'a test');",
        )
        .await;
    let mut viewer = roles.log_in("queue_viewer").await;
    for sql in sql_blocks("## Monitoring") {
        viewer
            .execute(AssertSqlSafe(sql.clone()))
            .await
            .unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
    }
    viewer.close().await.expect("goodbye");
    roles.drop_all().await;
}

/// What is logged, as text, and whether it is a warning.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(bool, String)>>>);

impl Log {
    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.1.contains(text))
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("sqlx") && *metadata.level() <= tracing::Level::DEBUG
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let is_warning = *event.metadata().level() <= tracing::Level::WARN;
        self.0.lock().unwrap().push((is_warning, text.0));
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Who owns nothing says nothing but once, for those who debug, and nothing on the server either.
#[tokio::test]
async fn a_runner_that_owns_no_table_leaves_them_alone_and_says_nothing() {
    let roles = Roles::granted().await;
    roles
        .as_owner(
            "insert into mq_jobs (id, spawned_at, max_attempts, ordered, name, channel_name, channel_args)
             select mq_new_id(), mq_now(), 1, false, 'litter', '', '' from generate_series(1, 100000);
             delete from mq_jobs;",
        )
        .await;
    let running = roles.pool_of("queue_runner").await;
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let (options, mut errors) = runner(&running, |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    let mut handle = options.run().await.expect("a runner");
    eventually("a look at the tables", async || {
        given().spawn(roles.db.pool()).await.expect("a spawn");
        match log.has("may not vacuum") {
            true => Ok(()),
            false => Err("none".to_owned()),
        }
    })
    .await;
    let refused = sqlxmq_core::compact(&running).await;
    // Those that the migrations have set up for autovacuum.
    let hot: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where reloptions @> array['vacuum_truncate=false'] order by relname",
    )
    .fetch_all(roles.db.pool())
    .await
    .expect("the hot tables");
    assert_eq!(hot.len(), 12);
    let Err(error @ CompactError::NotAllowed { tables }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(!error.is_transient());
    let mut tables = tables.clone();
    tables.sort();
    assert_eq!(tables, hot);
    handle.stop().await;
    drop((handle, options));
    assert!(!log.has("compact"), "{:?}", log.0.lock().unwrap());
    let warnings: Vec<_> = log
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line.0)
        .cloned()
        .collect();
    assert_eq!(warnings, []);
    assert!(errors.recv().await.is_none());
    running.close().await;
    roles.drop_all().await;
}
