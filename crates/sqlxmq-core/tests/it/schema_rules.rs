//! What every object of the schema keeps to, and what the surroundings of a schema must not be able to do to it.

use devpg::TestDb;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row, raw_sql};

/// Everything in the schema, but not what belongs to something in it: indexes, row and array types, sequences of identities.
const OBJECTS: &str = "
select 'table' as kind, c.relname::text as name, obj_description(c.oid, 'pg_class') as comment
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select 'sequence', c.relname::text, obj_description(c.oid, 'pg_class')
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'
  and not exists (
    select from pg_depend as d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
  )
union all
select 'function', p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc')
from pg_proc as p
where p.pronamespace = 'public'::regnamespace
union all
select 'type', t.typname::text, obj_description(t.oid, 'pg_type')
from pg_type as t
where t.typnamespace = 'public'::regnamespace and t.typelem = 0
  and (t.typrelid = 0 or (select c.relkind = 'c' from pg_class as c where c.oid = t.typrelid))
union all
select 'operator', o.oid::regoperator::text, null from pg_operator as o where o.oprnamespace = 'public'::regnamespace
union all
select 'constraint', c.conname::text, '' from pg_constraint as c where c.connamespace = 'public'::regnamespace
union all
select 'index', c.relname::text, '' from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind = 'i'
";

async fn queue() -> TestDb {
    TestDb::create(sqlxmq_core::migrator()).await
}

async fn list(pool: &PgPool, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
}

/// Spawns one job of each kind and runs those that can run to their end: most functions are called once.
async fn live_a_little(connection: &mut PgConnection) {
    connection
        .execute(raw_sql(
            "select mq_spawn('plain', '{\"a\": 1}', '\\x00');
             select mq_spawn('ordered', ordered => true, channel_name => 'line');
             select mq_spawn('later', delay => '1 hour');
             select mq_commit(array[mq_spawn('held', commit_interval => '1 hour')]);
             select mq_register('00000000-0000-0000-0000-00000000000a', '1 minute', 'a test');
             select mq_promote(100);
             create temp table claimed as
               select c.ids, c.attempts from mq_claim_by_name('00000000-0000-0000-0000-00000000000a', 1, 100, 1000000, null, true, null, false) as c;
             select mq_checkpoint('00000000-0000-0000-0000-00000000000a', ids[1], 1, '1', null, 1, '1 minute') from claimed;
             select mq_keep_alive('00000000-0000-0000-0000-00000000000a', ids[1], 1, '1 minute') from claimed;
             select mq_fail('00000000-0000-0000-0000-00000000000a', ids[1:1], array[1], array['no'], true) from claimed;
             select mq_complete('00000000-0000-0000-0000-00000000000a', ids[2:2], array[1], true) from claimed;
             select mq_release('00000000-0000-0000-0000-00000000000a', ids[3:3], array[1], '0') from claimed;
             select mq_renew('00000000-0000-0000-0000-00000000000a', '1 minute');
             select mq_audit('00000000-0000-0000-0000-00000000000a', '{}', '{}', 2);
             select mq_unregister('00000000-0000-0000-0000-00000000000a');
             select mq_refresh_counts();",
        ))
        .await
        .expect("a life of a few jobs");
    let claimed: i32 = sqlx::query_scalar("select cardinality(ids) from claimed")
        .fetch_one(&mut *connection)
        .await
        .expect("the claim");
    assert_eq!(claimed, 3, "plain, ordered and held");
}

#[tokio::test]
async fn every_object_begins_with_mq() {
    let db = queue().await;
    let strangers = list(
        db.pool(),
        &format!("select kind || ' ' || name from ({OBJECTS}) as o where name not like 'mq\\_%'"),
    )
    .await;
    assert_eq!(strangers, [""; 0]);
    let kinds = list(
        db.pool(),
        &format!("select distinct kind from ({OBJECTS}) as o order by 1"),
    )
    .await;
    assert_eq!(
        kinds,
        ["constraint", "function", "index", "sequence", "table", "type"],
        "what was looked at"
    );
}

#[tokio::test]
async fn every_object_has_a_comment() {
    let db = queue().await;
    let silent = list(
        db.pool(),
        // The table of the migrations is made by sqlx.
        &format!("select kind || ' ' || name from ({OBJECTS}) as o where comment is null and name <> 'mq_migrations'"),
    )
    .await;
    assert_eq!(silent, [""; 0]);
}

#[tokio::test]
async fn every_table_has_a_primary_key() {
    let db = queue().await;
    let without = list(
        db.pool(),
        "select c.relname::text from pg_class as c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and not exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)",
    )
    .await;
    assert_eq!(without, [""; 0]);
}

#[tokio::test]
async fn every_function_pins_its_search_path_or_is_bound_already() {
    let db = queue().await;
    let loose = list(
        db.pool(),
        "select p.oid::regprocedure::text from pg_proc as p
         where p.pronamespace = 'public'::regnamespace
           and p.prosqlbody is null
           and not coalesce('search_path=public, pg_temp' = any (p.proconfig), false)",
    )
    .await;
    assert_eq!(loose, [""; 0]);
}

#[tokio::test]
async fn no_function_runs_a_text_as_sql() {
    let db = queue().await;
    let dynamic = list(
        db.pool(),
        "select p.oid::regprocedure::text from pg_proc as p
         where p.pronamespace = 'public'::regnamespace and p.prosrc ~* '\\m(execute|query_to_xml|cursor_to_xml)\\M'",
    )
    .await;
    assert_eq!(dynamic, [""; 0]);
}

#[tokio::test]
async fn every_constraint_is_named_after_the_rule_it_keeps() {
    let db = queue().await;
    let unnamed = list(
        db.pool(),
        "select c.conname::text from pg_constraint as c
         where c.connamespace = 'public'::regnamespace and c.contype = 'c' and c.conname ~ '_check[0-9]*$'",
    )
    .await;
    assert_eq!(unnamed, [""; 0]);
}

#[tokio::test]
async fn jobs_live_under_a_publication_for_all_tables() {
    let db = queue().await;
    // Whatever wal_level is: a table without a replica identity refuses deletes as soon as it is published.
    raw_sql("create publication everything for all tables")
        .execute(db.pool())
        .await
        .expect("a publication");
    let mut connection = db.connect().await;
    live_a_little(&mut connection).await;
}

#[tokio::test]
async fn a_hostile_search_path_cannot_redirect_the_queue() {
    let db = queue().await;
    let mut connection = db.connect().await;
    // Tables and sequences of the same names in front, in a schema and among temporary objects.
    connection
        .execute(raw_sql(
            "create schema hostile;
             do $$
             declare
               stolen record;
             begin
               for stolen in
                 select c.relname, c.relkind from pg_class as c
                 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'S') and c.relname like 'mq\\_%'
               loop
                 if stolen.relkind = 'r' then
                   execute format('create table hostile.%1$I (like public.%1$I)', stolen.relname);
                   execute format('create temp table %1$I (like public.%1$I)', stolen.relname);
                 else
                   execute format('create sequence if not exists hostile.%I', stolen.relname);
                 end if;
               end loop;
             end $$;
             create function hostile.clock_timestamp() returns timestamptz language sql as 'select timestamptz ''-infinity''';
             create function hostile.mq_key(text) returns bigint language sql as 'select 1::bigint';
             create function hostile.mq_now() returns timestamptz language sql as 'select timestamptz ''-infinity''';
             create function hostile.mq_enqueue(uuid[], integer[]) returns void language sql as '';
             create operator hostile.<> (leftarg = uuid, rightarg = uuid, function = uuid_eq);
             set search_path = pg_temp, hostile, pg_catalog, public;",
        ))
        .await
        .expect("a hostile schema");
    live_a_little(&mut connection).await;

    let stolen: i64 = sqlx::query_scalar(
        "select (select count(*) from hostile.mq_jobs) + (select count(*) from pg_temp.mq_jobs)
           + (select count(*) from hostile.mq_ready) + (select count(*) from pg_temp.mq_ready)",
    )
    .fetch_one(&mut connection)
    .await
    .expect("the hostile tables");
    assert_eq!(stolen, 0);
    let left: i64 = sqlx::query_scalar("select count(*) from public.mq_jobs")
        .fetch_one(db.pool())
        .await
        .expect("the queue");
    assert_eq!(left, 3, "four were spawned and one was completed");
}

#[tokio::test]
async fn two_queues_in_one_database_do_not_meet() {
    let db = TestDb::create_empty().await;
    let mut bases = Vec::new();
    for schema in ["one", "Two; \"quoted\""] {
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        let mut connection = db.connect().await;
        connection
            .execute(AssertSqlSafe(format!(
                "create schema {quoted}; set search_path = {quoted}"
            )))
            .await
            .expect("a schema");
        sqlxmq_core::migrator()
            .run_direct(None, &mut connection, false)
            .await
            .expect("the migrations");
        live_a_little(&mut connection).await;
        let row = sqlx::query("select mq_lock_base() as base, mq_wake_channel() as wake, (select count(*) from mq_jobs) as jobs")
            .fetch_one(&mut connection)
            .await
            .expect("the second queue");
        assert_eq!(row.get::<i64, _>("jobs"), 3);
        bases.push((row.get::<i64, _>("base"), row.get::<String, _>("wake")));
        connection.close().await.expect("goodbye");
    }
    assert_ne!(bases[0].0, bases[1].0);
    assert_ne!(bases[0].1, bases[1].1);
    let public = list(
        db.pool(),
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace",
    )
    .await;
    assert_eq!(public, [""; 0], "nothing lands elsewhere");
}
