//! Who may do what: every role of docs/operations.md against every function and table, with real logins.

use std::collections::BTreeMap;
use std::str::FromStr;

use devpg::TestDb;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, raw_sql};

const ROLES: [&str; 4] = ["queue_producer", "queue_runner", "queue_viewer", "queue_operator"];

/// Every function that others call: a harmless call, and who may make it (p, r, v, o: the first letters).
const CALLS: [(&str, &str); 36] = [
    ("mq_spawn('a')", "p"),
    (
        "mq_spawn_all(array[gen_random_uuid()], '{a}', '{\"\"}', '{\"\"}', '{f}', '{1}', '{1}', '{1}', '{0}', '{null}', '{null}', '{null}')",
        "p",
    ),
    ("mq_commit('{}')", "p"),
    ("mq_exists(gen_random_uuid())", "pvo"),
    ("mq_register(gen_random_uuid(), '1 minute', 'a test')", "r"),
    ("mq_renew(gen_random_uuid(), '1 minute')", "r"),
    ("mq_audit(gen_random_uuid(), '{}', '{}', 1)", "r"),
    ("mq_unregister(gen_random_uuid())", "r"),
    (
        "mq_claim(gen_random_uuid(), 1, 1, 1, null, null, 0, true, null)",
        "r",
    ),
    ("mq_payloads('{}')", "r"),
    ("mq_complete(gen_random_uuid(), '{}', '{}', true)", "r"),
    ("mq_fail(gen_random_uuid(), '{}', '{}', '{}', true)", "r"),
    ("mq_release(gen_random_uuid(), '{}', '{}', '0')", "r"),
    (
        "mq_checkpoint(gen_random_uuid(), gen_random_uuid(), 1, null, null, 0, null)",
        "r",
    ),
    (
        "mq_keep_alive(gen_random_uuid(), gen_random_uuid(), 1, '1 minute')",
        "r",
    ),
    ("mq_promote(1)", "r"),
    ("mq_runners_seen()", "rvo"),
    ("mq_reap('{}', '{}')", "r"),
    ("mq_reap_jobs()", "r"),
    ("mq_refresh_counts()", "r"),
    ("mq_sleep('{1}')", "r"),
    ("mq_awaken('{1}')", "r"),
    ("mq_in_flight()", "r"),
    ("mq_wake_channel()", "r"),
    ("mq_key('a')", "r"),
    ("mq_key('a', 'b')", "r"),
    ("mq_counts()", "vo"),
    ("mq_dead_jobs()", "vo"),
    ("mq_job_errors(gen_random_uuid())", "vo"),
    ("mq_cancel('{}')", "o"),
    ("mq_clear('{}')", "o"),
    ("mq_clear_all()", "o"),
    ("mq_requeue('{}')", "o"),
    ("mq_discard('{}')", "o"),
    // Parts of others, for nobody: two to stand for all, which are looked up in the catalogue.
    ("mq_enqueue('{}', '{}')", ""),
    ("mq_forget('{}')", ""),
];

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
        for role in ROLES {
            roles
                .as_owner(&format!("create role {role} login password 'a test'"))
                .await;
        }
        // As the docs say, for PostgreSQL 14.
        roles.as_owner("revoke create on schema public from public").await;
        for grants in sql_blocks("## Roles and grants") {
            roles.as_owner(&grants).await;
        }
        roles
    }

    fn named(&self, sql: &str) -> String {
        ROLES.iter().fold(sql.to_owned(), |sql, role| {
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

    async fn log_in(&self, role: &str) -> PgConnection {
        PgConnectOptions::from_str(self.db.url())
            .expect("a URL")
            .username(&self.named(role))
            .password("a test")
            .connect()
            .await
            .unwrap_or_else(|error| panic!("failed to log in as {role}: {error}"))
    }

    async fn drop_all(self) {
        for role in ROLES {
            self.as_owner(&format!("drop owned by {role}; drop role {role}"))
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

/// "ok", or the SQLSTATE.
async fn outcome(connection: &mut PgConnection, sql: &str) -> String {
    match connection.execute(AssertSqlSafe(sql.to_owned())).await {
        Ok(_) => "ok".to_owned(),
        Err(sqlx::Error::Database(error)) => error.code().map_or_else(String::new, |code| code.into_owned()),
        Err(error) => panic!("{error}\nin: {sql}"),
    }
}

#[tokio::test]
async fn each_role_can_call_its_functions_and_no_others() {
    let roles = Roles::granted().await;
    let mut wrong = Vec::new();
    for role in ROLES {
        let mut connection = roles.log_in(role).await;
        let letter = role
            .trim_start_matches("queue_")
            .chars()
            .next()
            .expect("a letter");
        for (call, allowed) in CALLS {
            let expected = if allowed.contains(letter) { "ok" } else { "42501" };
            let seen = outcome(&mut connection, &format!("select * from {call}")).await;
            if seen != expected {
                wrong.push(format!("{role}: {call}: {seen}, not {expected}"));
            }
        }
        connection.close().await.expect("goodbye");
    }
    assert_eq!(wrong, [""; 0]);

    // The table above is whole: everything that is granted is in it.
    let granted: Vec<(String, String)> = sqlx::query_as(
        "select p.oid::regprocedure::text, r.rolname::text
         from pg_proc as p cross join pg_roles as r
         where p.pronamespace = 'public'::regnamespace and r.rolname like '%' || $1
           and has_function_privilege(r.oid, p.oid, 'execute')",
    )
    .bind(&roles.suffix)
    .fetch_all(roles.db.pool())
    .await
    .expect("the grants");
    let mut counts = BTreeMap::new();
    for (_, role) in &granted {
        *counts.entry(role.clone()).or_insert(0) += 1;
    }
    for role in ROLES {
        let letter = role
            .trim_start_matches("queue_")
            .chars()
            .next()
            .expect("a letter");
        let expected = CALLS
            .iter()
            .filter(|(_, allowed)| allowed.contains(letter))
            .count();
        assert_eq!(
            counts.get(&roles.named(role)),
            Some(&expected),
            "{role}: {granted:?}"
        );
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
           and not (privilege = 'select' and r.rolname ~ '^queue_(viewer|operator)'
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
            "select j.name, j.channel_args from mq_ready as q join mq_jobs as j on j.id = q.id",
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
                   from mq_claim('00000000-0000-0000-0000-00000000000a', 1, 10, 1000, null, null, 0, true, '1 minute') as c;
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
