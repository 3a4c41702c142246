//! Upgrading from sqlxmq 0.6: its jobs are moved, whatever state they are in, and its producers go on.
//!
//! The rows were made by the published crate (fixtures/v0_6). How old they are is as it was then.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use sqlxmq_core::{
    CommitError, MigrateError, clear_all, commit, dead_jobs, exists, migrate, migrator, requeue,
};
use uuid::Uuid;

use crate::support::{self, ByHand, job, states};

const SCHEMA: &str = include_str!("../fixtures/v0_6/schema.sql");
const ROWS: &str = include_str!("../fixtures/v0_6/rows.sql");
const EXTENSION: &str = r#"CREATE EXTENSION IF NOT EXISTS "uuid-ossp";"#;
/// All that 0.6 uses of the extension, for a server without the contrib modules.
const STAND_IN: &str = "create function uuid_nil() returns uuid language sql immutable
  as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;";

/// The statement with which 0.6.0 spawns.
const SPAWN: &str = "SELECT mq_insert(ARRAY[($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::mq_new_t])";

const SECOND: i64 = 1_000_000;

/// What a producer of 0.6 sends; the rest are its defaults.
#[derive(Clone, Copy, Default)]
struct Sent {
    delay: Option<i64>,
    retries: i32,
    channel: &'static str,
    commit_interval: Option<i64>,
    ordered: bool,
    json: Option<&'static str>,
}

/// The ids as src/main.rs of the fixture gives them.
fn id(kind: u32, number: u32) -> Uuid {
    Uuid::from_u128((u128::from(kind) << 96) | 0x4000_8000_0000_0000_0000 | u128::from(number))
}

fn interval(microseconds: i64) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds,
    }
}

async fn empty_v0_6() -> TestDb {
    let db = TestDb::create_empty().await;
    install_v0_6(&mut db.connect().await).await;
    db
}

async fn install_v0_6(connection: &mut PgConnection) {
    let has_extension: bool =
        sqlx::query_scalar("select exists (select from pg_available_extensions where name = 'uuid-ossp')")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    let mut schema = schema_for(connection).await;
    if !has_extension {
        schema = schema.replace(EXTENSION, STAND_IN);
    }
    connection.execute(AssertSqlSafe(schema)).await.unwrap();
}

/// The schema of 0.6.0. From PostgreSQL 17 on an index is built with a search path of its own, where 0.6's function does not find
/// `uuid_nil`: 0.6 can't be installed there, but comes along with a database that is upgraded.
async fn schema_for(connection: &mut PgConnection) -> String {
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::integer")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    if version < 170_000 {
        return SCHEMA.to_owned();
    }
    let body = "id IS NOT NULL AND id != uuid_nil()";
    assert!(SCHEMA.contains(body));
    SCHEMA.replace(
        body,
        "id IS NOT NULL AND id != '00000000-0000-0000-0000-000000000000'",
    )
}

/// A database of 0.6 with jobs in it, and a copy of its tables to compare with.
async fn v0_6() -> TestDb {
    let db = empty_v0_6().await;
    db.pool().execute(ROWS).await.unwrap();
    db.pool()
        .execute(
            "create table old_jobs as
             select * from mq_msgs join mq_payloads using (id)",
        )
        .await
        .unwrap();
    db
}

async fn upgraded() -> TestDb {
    let db = v0_6().await;
    migrate(db.pool()).await.unwrap();
    db
}

/// One row, one column.
async fn ask<T>(pool: &PgPool, sql: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

async fn spawn_as_v0_6(executor: impl sqlx::PgExecutor<'_>, sent: Sent) -> sqlx::Result<Uuid> {
    spawn_as_v0_6_with(executor, Uuid::new_v4(), sent).await
}

async fn spawn_as_v0_6_with(executor: impl sqlx::PgExecutor<'_>, id: Uuid, sent: Sent) -> sqlx::Result<Uuid> {
    sqlx::query(SPAWN)
        .bind(id)
        .bind(sent.delay.map(interval))
        .bind(sent.retries)
        .bind(interval(SECOND))
        .bind(sent.channel)
        .bind("")
        .bind(sent.commit_interval.map(interval))
        .bind(sent.ordered)
        .bind("app::sent")
        .bind(sent.json)
        .bind(None::<&[u8]>)
        .execute(executor)
        .await?;
    Ok(id)
}

/// The 0.6 statement for `exists`.
async fn exists_as_v0_6(executor: impl sqlx::PgExecutor<'_>, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS(SELECT id FROM mq_msgs WHERE id = $1)")
        .bind(id)
        .fetch_one(executor)
        .await
}

/// Waits until some session waits for a lock on a table.
async fn somebody_waits(pool: &PgPool) {
    eventually("a session that waits for a lock", async || {
        let waits: bool = sqlx::query_scalar(
            "select exists (select from pg_locks where locktype = 'relation' and not granted
               and database = (select oid from pg_database where datname = current_database()))",
        )
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())?;
        if waits {
            Ok(())
        } else {
            Err("nobody waits".to_owned())
        }
    })
    .await;
}

async fn make_due(pool: &PgPool) {
    pool.execute("update mq_scheduled set due_at = clock_timestamp()")
        .await
        .unwrap();
    pool.execute("select mq_promote(1000)").await.unwrap();
}

/// Claims and completes until nothing is ready, and returns the order.
async fn run_all(pool: &PgPool) -> Vec<Uuid> {
    let mut runner = ByHand::register(pool).await;
    let mut order = Vec::new();
    loop {
        let (ids, claim) = runner.claim().await;
        if ids.is_empty() {
            return order;
        }
        for id in ids {
            assert!(runner.complete(id, claim).await, "the claim of {id} was lost");
            order.push(id);
        }
    }
}

fn of_kind(order: &[Uuid], kind: u32, below: u32) -> Vec<Uuid> {
    order
        .iter()
        .copied()
        .filter(|&job| (1..below).any(|number| job == id(kind, number)))
        .collect()
}

#[tokio::test]
async fn every_job_of_0_6_is_there_as_it_was_spawned() {
    let db = upgraded().await;
    let old: i64 = ask(db.pool(), "select count(*) from old_jobs").await;
    assert_eq!(old, 34);
    let unchanged: i64 = ask(
        db.pool(),
        "select count(*)
         from old_jobs as o
         join mq_jobs as j on j.id = o.id
         where (j.name, j.channel_name, j.channel_args, j.spawned_at) = (o.name, o.channel_name, o.channel_args, o.created_at)
           and j.ordered = (o.after_message_id is not null)
           and j.payload_json is not distinct from o.payload_json::text
           and j.payload_bytes is not distinct from o.payload_bytes",
    )
    .await;
    assert_eq!(unchanged, old);
    // And nothing else: the nil rows of 0.6 are no jobs.
    let jobs: i64 = ask(db.pool(), "select count(*) from mq_jobs").await;
    assert_eq!(jobs, old);
    let payload: (String, Vec<u8>) =
        sqlx::query_as("select payload_json, payload_bytes from mq_payloads(array[$1])")
            .bind(id(1, 4))
            .fetch_one(db.pool())
            .await
            .unwrap();
    assert_eq!(payload, ("[1, 2, 3]".to_owned(), vec![]));
    db.close().await;
}

#[tokio::test]
async fn every_job_of_0_6_is_in_the_state_it_was_in() {
    let db = upgraded().await;
    let special: BTreeMap<Uuid, &str> = [
        (id(1, 5), "scheduled"),
        (id(2, 1), "held"),
        (id(2, 2), "held"),
        (id(2, 4), "scheduled"),
        (id(2, 5), "held"),
        (id(3, 97), "scheduled"),
        (id(4, 99), "held"),
        (id(5, 99), "dead"),
        (id(6, 2), "scheduled"),
        (id(6, 3), "scheduled"),
        (id(6, 4), "dead"),
        (id(6, 5), "scheduled"),
        (id(6, 6), "scheduled"),
        (id(6, 7), "scheduled"),
    ]
    .into();
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from old_jobs")
        .fetch_all(db.pool())
        .await
        .unwrap();
    for id in ids {
        let expected = special.get(&id).copied().unwrap_or("ready");
        assert_eq!(states(db.pool(), id).await, [expected], "{id}");
    }
    let at_other_times: i64 = ask(
        db.pool(),
        "select count(*)
         from old_jobs as o
         left join mq_scheduled as s on s.id = o.id
         left join mq_held as h on h.id = o.id
         where s.due_at <> o.attempt_at
           or h.expires_at <> o.attempt_at
           or h.due_at <> o.attempt_at - o.commit_interval",
    )
    .await;
    assert_eq!(at_other_times, 0);
    db.close().await;
}

#[tokio::test]
async fn what_was_left_of_retries_and_backoff_is_kept() {
    let db = upgraded().await;
    let changed: Vec<Uuid> = sqlx::query_scalar(
        "select o.id
         from old_jobs as o
         join mq_jobs as j on j.id = o.id
         where (j.max_attempts, j.backoff) <> (o.attempts, o.retry_backoff)
           or j.max_backoff <> greatest(j.backoff, interval '1 hour')
         order by o.id",
    )
    .fetch_all(db.pool())
    .await
    .unwrap();
    // Retried without end by 0.6; longer than the queue calculates; and those out of attempts, with 5 if they are requeued.
    assert_eq!(changed, [id(1, 6), id(1, 8), id(5, 99), id(6, 4), id(6, 6)]);
    let endless: i64 = ask(
        db.pool(),
        "select count(*) from mq_jobs where max_attempts = 1000001",
    )
    .await;
    assert_eq!(endless, 2);
    let longest: bool = ask(
        db.pool(),
        "select bool_and(backoff = interval '100 years') from mq_jobs where name = 'app::most_patient'",
    )
    .await;
    assert!(longest);

    // Three of four attempts had failed: the next is the last. The other has three more, and 0.6's next wait.
    make_due(db.pool()).await;
    let mut runner = ByHand::register(db.pool()).await;
    assert_eq!(runner.fail_all("failed_thrice", "again").await, [id(6, 7)]);
    assert_eq!(states(db.pool(), id(6, 7)).await, ["dead"]);
    assert_eq!(runner.fail_all("failed", "again").await, [id(6, 3)]);
    let waits: bool = ask(
        db.pool(),
        "select due_at - clock_timestamp() between interval '19 minutes' and interval '23 minutes'
         from mq_scheduled join mq_jobs using (id) where name = 'failed'",
    )
    .await;
    assert!(waits);
    db.close().await;
}

#[tokio::test]
async fn an_ordered_chain_of_0_6_goes_on_in_its_order() {
    let db = upgraded().await;
    let chain: Vec<Uuid> = (1..=8).map(|number| id(3, 100 - number)).collect();
    // The third is delayed, and keeps the others back.
    let order = run_all(db.pool()).await;
    assert_eq!(of_kind(&order, 3, 100), chain[..2]);
    assert!(order.contains(&id(3, 200)), "an unordered job waits for the line");
    // What is spawned now comes last.
    let late = job("app::ordered")
        .set_channel_name("line")
        .set_channel_args("a")
        .set_ordered(true)
        .spawn(db.pool())
        .await
        .unwrap();
    make_due(db.pool()).await;
    let order = run_all(db.pool()).await;
    assert_eq!(of_kind(&order, 3, 100), chain[2..]);
    let last = order.iter().rposition(|job| chain.contains(job)).unwrap();
    assert!(order.iter().position(|&job| job == late).unwrap() > last);
    db.close().await;
}

#[tokio::test]
async fn a_held_head_of_0_6_keeps_its_line_back_until_it_is_committed() {
    let db = upgraded().await;
    let line: Vec<Uuid> = (1..=3).map(|number| id(4, 100 - number)).collect();
    assert_eq!(of_kind(&run_all(db.pool()).await, 4, 100), support::NONE);
    commit(db.pool(), &[line[0]]).await.unwrap();
    assert_eq!(of_kind(&run_all(db.pool()).await, 4, 100), line);
    db.close().await;
}

#[tokio::test]
async fn held_jobs_of_0_6_are_committed_or_expire() {
    let db = upgraded().await;
    let error = commit(db.pool(), &[id(2, 1), id(2, 2), id(2, 5)])
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Expired { .. }), "{error:?}");
    assert_eq!(states(db.pool(), id(2, 1)).await, ["ready"]);
    assert_eq!(states(db.pool(), id(2, 2)).await, ["scheduled"]);
    let keeps_its_delay: bool = sqlx::query_scalar(
        "select abs(extract(epoch from s.due_at - o.created_at) - 7200) < 1
         from mq_scheduled as s join old_jobs as o using (id) where id = $1",
    )
    .bind(id(2, 2))
    .fetch_one(db.pool())
    .await
    .unwrap();
    assert!(keeps_its_delay);
    db.pool().execute("select mq_promote(1000)").await.unwrap();
    assert!(!exists(db.pool(), id(2, 5)).await.unwrap());
    db.close().await;
}

#[tokio::test]
async fn a_job_out_of_attempts_is_dead_and_no_longer_blocks_its_channel() {
    let db = upgraded().await;
    let dead = dead_jobs(db.pool(), 10, None).await.unwrap();
    let ids: Vec<Uuid> = dead.iter().map(|job| job.id).collect();
    assert_eq!(ids, [id(5, 99), id(6, 4)]);
    for job in &dead {
        let error = job.last_error.as_deref().unwrap_or_default();
        assert!(error.starts_with("out of attempts in sqlxmq 0.6"), "{error}");
    }
    assert_eq!(of_kind(&run_all(db.pool()).await, 5, 100), [id(5, 98), id(5, 97)]);
    requeue(db.pool(), &ids).await.unwrap();
    let mut order = run_all(db.pool()).await;
    order.sort();
    assert_eq!(order, ids);
    db.close().await;
}

#[tokio::test]
async fn producers_of_0_6_go_on_with_the_statements_they_have_prepared() {
    let db = v0_6().await;
    let mut producer = db.connect().await;
    let now = Sent {
        delay: Some(0),
        retries: 4,
        json: Some(r#"{"a":  1.50}"#),
        ..Sent::default()
    };
    let before = spawn_as_v0_6(&mut producer, now).await.unwrap();
    assert!(exists_as_v0_6(&mut producer, before).await.unwrap());
    migrate(db.pool()).await.unwrap();

    let after = spawn_as_v0_6(&mut producer, now).await.unwrap();
    for job in [before, after] {
        assert_eq!(states(db.pool(), job).await, ["ready"]);
        assert!(exists_as_v0_6(&mut producer, job).await.unwrap());
    }
    // Byte for byte, now that it is not turned into jsonb any more.
    let json: String = sqlx::query_scalar("select payload_json from mq_payloads(array[$1])")
        .bind(after)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(json, now.json.unwrap());

    let error = spawn_as_v0_6_with(&mut producer, after, now).await.unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("23505"), "{error}");
    let invalid = Sent {
        json: Some("{"),
        ..now
    };
    spawn_as_v0_6(&mut producer, invalid).await.unwrap_err();
    let mut transaction = producer.begin().await.unwrap();
    let undone = spawn_as_v0_6(&mut *transaction, now).await.unwrap();
    transaction.rollback().await.unwrap();
    assert!(!exists_as_v0_6(&mut producer, undone).await.unwrap());
    producer.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_commit_that_0_6_has_prepared_says_that_the_connection_is_too_old() {
    let db = v0_6().await;
    let mut producer = db.connect().await;
    let commit_as_v0_6 = async |producer: &mut PgConnection| {
        sqlx::query("SELECT mq_commit($1)")
            .bind(vec![id(2, 1)])
            .execute(producer)
            .await
    };
    let mut transaction = producer.begin().await.unwrap();
    commit_as_v0_6(&mut transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    migrate(db.pool()).await.unwrap();
    let error = commit_as_v0_6(&mut producer).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cached plan must not change result type"),
        "{error}"
    );
    assert_eq!(states(db.pool(), id(2, 1)).await, ["held"]);
    producer.close().await.unwrap();
    let mut producer = db.connect().await;
    commit_as_v0_6(&mut producer).await.unwrap();
    assert_eq!(states(db.pool(), id(2, 1)).await, ["ready"]);
    producer.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_producer_of_0_6_with_a_login_of_its_own_can_still_spawn() {
    let db = empty_v0_6().await;
    // Roles are the server's, so it must not be there yet, and goes with the test.
    let role = format!("producer_{}", Uuid::new_v4().simple());
    db.pool()
        .execute(AssertSqlSafe(format!(
            "create role {role};
             grant select, insert on mq_msgs, mq_payloads to {role}"
        )))
        .await
        .unwrap();
    let mut producer = db.connect().await;
    producer
        .execute(AssertSqlSafe(format!("set role {role}")))
        .await
        .unwrap();
    let now = Sent {
        delay: Some(0),
        ..Sent::default()
    };
    let before = spawn_as_v0_6(&mut producer, now).await.unwrap();
    migrate(db.pool()).await.unwrap();
    let after = spawn_as_v0_6(&mut producer, now).await.unwrap();
    for job in [before, after] {
        assert!(exists_as_v0_6(&mut producer, job).await.unwrap());
    }
    producer.execute("select * from mq_jobs").await.unwrap_err();
    producer.close().await.unwrap();
    db.pool()
        .execute(AssertSqlSafe(format!("drop owned by {role}; drop role {role}")))
        .await
        .unwrap();
    db.close().await;
}

#[tokio::test]
async fn each_field_that_a_producer_of_0_6_sends_is_heard() {
    let db = empty_v0_6().await;
    migrate(db.pool()).await.unwrap();
    let base = Sent {
        delay: Some(0),
        retries: 4,
        ..Sent::default()
    };
    let later = Sent {
        delay: Some(3600 * SECOND),
        retries: 7,
        ..base
    };
    let later = spawn_as_v0_6(db.pool(), later).await.unwrap();
    assert_eq!(states(db.pool(), later).await, ["scheduled"]);
    let attempts: i32 = sqlx::query_scalar("select max_attempts from mq_jobs where id = $1")
        .bind(later)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(attempts, 8);

    // A null delay made a job that never ran; 4294967295 retries arrive as -1.
    let odd = Sent {
        delay: None,
        retries: -1,
        ..base
    };
    let odd = spawn_as_v0_6(db.pool(), odd).await.unwrap();
    assert_eq!(states(db.pool(), odd).await, ["ready"]);
    let attempts: i32 = sqlx::query_scalar("select max_attempts from mq_jobs where id = $1")
        .bind(odd)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(attempts, 1_000_001);

    let held = Sent {
        delay: Some(10 * SECOND),
        commit_interval: Some(20 * SECOND),
        ..base
    };
    let held = spawn_as_v0_6(db.pool(), held).await.unwrap();
    assert_eq!(states(db.pool(), held).await, ["held"]);
    let waits: bool = ask(
        db.pool(),
        "select extract(epoch from h.expires_at - j.spawned_at) = 30 and extract(epoch from h.due_at - j.spawned_at) = 10
         from mq_held as h join mq_jobs as j using (id) where j.name = 'app::sent'",
    )
    .await;
    assert!(waits);
    db.pool()
        .execute(sqlx::query("SELECT mq_commit($1)").bind(vec![held]))
        .await
        .unwrap();
    assert_eq!(states(db.pool(), held).await, ["scheduled"]);

    let mut line = Vec::new();
    for _ in 0..3 {
        let next = Sent {
            ordered: true,
            channel: "new",
            ..base
        };
        line.push(spawn_as_v0_6(db.pool(), next).await.unwrap());
    }
    let order = run_all(db.pool()).await;
    assert_eq!(
        order
            .iter()
            .filter(|job| line.contains(job))
            .copied()
            .collect::<Vec<_>>(),
        line
    );

    for sql in [
        "SELECT mq_insert('{}')",
        "SELECT mq_insert(null)",
        "SELECT mq_clear_all()",
    ] {
        db.pool().execute(sql).await.unwrap();
    }
    assert!(!exists_as_v0_6(db.pool(), later).await.unwrap());
    db.close().await;
}

#[tokio::test]
async fn a_job_that_a_producer_of_0_6_is_about_to_commit_is_waited_for() {
    let db = v0_6().await;
    let mut producer = db.connect().await;
    let mut transaction = producer.begin().await.unwrap();
    let now = Sent {
        delay: Some(0),
        ..Sent::default()
    };
    let spawned = spawn_as_v0_6(&mut *transaction, now).await.unwrap();
    let (migrated, ()) = tokio::join!(migrate(db.pool()), async {
        somebody_waits(db.pool()).await;
        transaction.commit().await.unwrap();
    });
    migrated.unwrap();
    assert_eq!(states(db.pool(), spawned).await, ["ready"]);
    producer.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_statement_of_0_6_that_waits_for_the_upgrade_fails_and_changes_nothing() {
    for statement in [
        "SELECT mq_clear_all()",
        "SELECT mq_clear('{line}')",
        "SELECT mq_delete(array(select id from old_jobs))",
        "SELECT mq_commit(array(select id from old_jobs))",
        "SELECT * FROM mq_poll(null, 100)",
        "SELECT mq_keep_alive(array(select id from old_jobs), '1 h')",
        "DELETE FROM mq_msgs",
    ] {
        let db = v0_6().await;
        let mut upgrade = db.connect().await;
        for migration in migrator().iter().filter(|migration| migration.version < 140) {
            upgrade.execute(migration.sql.clone()).await.unwrap();
        }
        let adopt = migrator()
            .iter()
            .find(|migration| migration.version == 140)
            .unwrap();
        let mut transaction = upgrade.begin().await.unwrap();
        transaction.execute(adopt.sql.clone()).await.unwrap();

        let mut old = db.connect().await;
        let (outcome, ()) = tokio::join!(old.execute(AssertSqlSafe(statement)), async {
            somebody_waits(db.pool()).await;
            transaction.commit().await.unwrap();
        });
        assert!(outcome.is_err(), "{statement}");
        old.close().await.unwrap();
        let jobs: i64 = ask(db.pool(), "select count(*) from mq_jobs").await;
        let held: i64 = ask(db.pool(), "select count(*) from mq_held").await;
        assert_eq!((jobs, held), (34, 4), "{statement}");
        upgrade.close().await.unwrap();
        db.close().await;
    }
}

#[tokio::test]
async fn a_job_out_of_bounds_is_named_and_0_6_goes_on_until_it_is_mended() {
    let db = v0_6().await;
    let bad = Uuid::new_v4();
    db.pool()
        .execute(
            sqlx::query("insert into mq_msgs (id, channel_name, channel_args, after_message_id) values ($1, 'x', '', null)")
                .bind(bad),
        )
        .await
        .unwrap();
    let payload = "insert into mq_payloads (id, name) values ($1, $2)
                   on conflict (id) do update set name = excluded.name";
    for (name, complaint) in [
        (None, "has no row in mq_payloads"),
        (Some(String::new()), "has an empty name"),
        (Some("n".repeat(1025)), "has a name of 1025 bytes"),
    ] {
        if let Some(name) = name {
            sqlx::query(payload)
                .bind(bad)
                .bind(name)
                .execute(db.pool())
                .await
                .unwrap();
        }
        let error = migrate(db.pool()).await.unwrap_err();
        let MigrateError::Apply { version: 140, source } = error else {
            panic!("{error:?}");
        };
        let error = source
            .as_database_error()
            .unwrap()
            .downcast_ref::<sqlx::postgres::PgDatabaseError>();
        let detail = error.detail().unwrap_or_default();
        assert!(
            detail.contains(&bad.to_string()) && detail.contains(complaint),
            "{detail}"
        );
    }

    // The tables and functions of 0.6 are untouched.
    let now = Sent {
        delay: Some(0),
        channel: "meanwhile",
        ..Sent::default()
    };
    let meanwhile = spawn_as_v0_6(db.pool(), now).await.unwrap();
    let polled: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM mq_poll('{meanwhile}', 100)")
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(polled, [meanwhile]);
    for sql in [
        "SELECT mq_keep_alive(ARRAY[$1], '1 minute')",
        "SELECT mq_checkpoint($1, '1 minute', '1', null, 2)",
    ] {
        sqlx::query(sql).bind(meanwhile).execute(db.pool()).await.unwrap();
    }

    sqlx::query("select mq_delete(array[$1])")
        .bind(bad)
        .execute(db.pool())
        .await
        .unwrap();
    migrate(db.pool()).await.unwrap();
    assert!(!exists(db.pool(), bad).await.unwrap());
    assert_eq!(states(db.pool(), meanwhile).await, ["scheduled"]);
    db.close().await;
}

#[tokio::test]
async fn an_empty_schema_of_0_6_becomes_an_empty_queue() {
    let db = empty_v0_6().await;
    migrate(db.pool()).await.unwrap();
    migrate(db.pool()).await.unwrap();
    let jobs: i64 = ask(db.pool(), "select count(*) from mq_jobs").await;
    assert_eq!(jobs, 0);
    let now = Sent {
        delay: Some(0),
        ..Sent::default()
    };
    let spawned = spawn_as_v0_6(db.pool(), now).await.unwrap();
    assert_eq!(run_all(db.pool()).await, [spawned]);
    clear_all(db.pool()).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn what_is_left_of_0_6_is_what_its_producers_need_and_can_be_dropped() {
    let fresh = TestDb::create_empty().await;
    migrate(fresh.pool()).await.unwrap();
    let upgraded = upgraded().await;
    let objects = "select array_agg(o order by o) from (
                     select format('function %s', p.oid::regprocedure) as o from pg_proc as p
                     where p.pronamespace = 'public'::regnamespace and p.proname like 'mq%'
                     union all
                     select format('relation %s', c.oid::regclass) from pg_class as c
                     where c.relnamespace = 'public'::regnamespace and c.relname like 'mq%'
                   ) as objects";
    let ours: Vec<String> = ask(fresh.pool(), objects).await;
    let mut both: Vec<String> = ask(upgraded.pool(), objects).await;
    both.retain(|object| !ours.contains(object));
    assert_eq!(
        both,
        [
            "function mq_insert(mq_new_t[])",
            "relation mq_msgs",
            "relation mq_new_t"
        ]
    );
    upgraded
        .pool()
        .execute("drop view mq_msgs; drop function mq_insert(mq_new_t[]); drop type mq_new_t")
        .await
        .unwrap();
    let both: Vec<String> = ask(upgraded.pool(), objects).await;
    assert_eq!(both, ours);
    fresh.close().await;
    upgraded.close().await;
}

#[tokio::test]
async fn jobs_are_moved_where_0_6_found_its_extension_in_another_schema() {
    let db = TestDb::create_empty().await;
    db.pool()
        .execute("create schema app; create schema extensions")
        .await
        .unwrap();
    let options = |path: &str| {
        PgConnectOptions::from_str(db.url())
            .unwrap()
            .options([("search_path", path)])
    };
    let mut connection = PgConnection::connect_with(&options("extensions")).await.unwrap();
    connection.execute(STAND_IN).await.unwrap();
    let schema = schema_for(&mut connection).await;
    connection.close().await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect_with(options("app,extensions"))
        .await
        .unwrap();
    pool.execute(AssertSqlSafe(schema.replace(EXTENSION, "")))
        .await
        .unwrap();
    pool.execute(ROWS).await.unwrap();

    // Another queue of the database knows nothing of it.
    migrate(db.pool()).await.unwrap();
    let jobs: i64 = ask(db.pool(), "select count(*) from public.mq_jobs").await;
    assert_eq!(jobs, 0);
    let jobs: i64 = ask(&pool, "select count(*) from mq_payloads").await;
    assert_eq!(jobs, 34);

    tokio::time::timeout(Duration::from_secs(60), migrate(&pool))
        .await
        .unwrap()
        .unwrap();
    let jobs: i64 = ask(&pool, "select count(*) from app.mq_jobs").await;
    assert_eq!(jobs, 34);
    pool.close().await;
    db.close().await;
}
