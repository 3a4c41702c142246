//! Spawning: what is stored, what is refused, and what both leave of the caller's transaction.

use std::time::Duration;

use devpg::TestDb;
use sqlx::{Connection, Executor, PgPool, Row};
use sqlxmq_core::{InvalidJob, JobBuilder, SpawnError, config, exists, spawn_all};
use uuid::Uuid;

use crate::support::{NONE, job, nowhere, queue, states};

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from mq_jobs")
        .fetch_one(pool)
        .await
        .expect("a count")
}

#[tokio::test]
async fn what_is_spawned_is_stored_byte_for_byte() {
    let db = queue().await;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let long_name = "n".repeat(config::MAX_NAME_BYTES);
    let long_args: String = ('\u{1}'..'\u{700}').cycle().take(6_400).collect();
    let full = vec![0xff; config::DEFAULT_PAYLOAD_LIMIT];
    let texts = [
        "x",
        "MiXeD",
        "it's \"quoted\"",
        "🦀 \u{202e}\u{feff}",
        "a,b{}\\n",
        "null",
        &long_name,
    ];
    let payloads = [
        r#""\u0000""#,
        r#""\ud800""#,
        r#"{"a":1,"a":2}"#,
        "1e400",
        " [1 , 2]\n",
        "null",
        r#""""#,
        &deep,
    ];
    let mut jobs = Vec::new();
    for text in texts {
        let mut builder = job(text);
        builder.set_channel_name(text).set_channel_args(text);
        jobs.push(builder);
    }
    for payload in payloads {
        let mut builder = job("payload");
        builder.set_raw_json(payload);
        jobs.push(builder);
    }
    for bytes in [&b""[..], b"\0", &full] {
        let mut builder = job("bytes");
        builder.set_raw_bytes(bytes).set_channel_args(&long_args);
        jobs.push(builder);
    }

    let ids = spawn_all(db.pool(), &jobs).await.unwrap();
    assert_eq!(ids, jobs.iter().map(|job| job.as_ref().id()).collect::<Vec<_>>());
    let rows = sqlx::query("select * from mq_payloads($1)")
        .bind(&ids)
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(rows.len(), jobs.len());
    for (row, job) in rows.iter().zip(&jobs) {
        let job = job.as_ref();
        assert_eq!(row.get::<Uuid, _>("id"), job.id());
        assert_eq!(row.get::<&str, _>("name"), job.name());
        assert_eq!(row.get::<&str, _>("channel_name"), job.channel_name());
        assert_eq!(row.get::<&str, _>("channel_args"), job.channel_args());
    }
    let stored: Vec<Option<&str>> = rows.iter().map(|row| row.get("payload_json")).collect();
    assert_eq!(stored[..texts.len()], vec![None; texts.len()]);
    assert_eq!(stored[texts.len()..][..payloads.len()], payloads.map(Some));
    let stored: Vec<Option<&[u8]>> = rows.iter().map(|row| row.get("payload_bytes")).collect();
    assert_eq!(
        stored[texts.len() + payloads.len()..],
        [Some(&b""[..]), Some(b"\0"), Some(&full)]
    );
    db.close().await;
}

#[tokio::test]
async fn the_bounds_of_the_builder_are_those_of_the_schema() {
    let db = queue().await;
    let name = "n".repeat(config::MAX_NAME_BYTES);
    let channel_name = "é".repeat(config::MAX_CHANNEL_NAME_BYTES / 2);
    let channel_args = "a".repeat(config::MAX_CHANNEL_ARGS_BYTES);
    let bytes = vec![1; 8 << 20];
    let mut largest = job(&name);
    largest
        .set_channel_name(&channel_name)
        .set_channel_args(&channel_args)
        .set_retries(config::MAX_RETRIES)
        .set_retry_backoff(config::MAX_DURATION)
        .set_max_backoff(config::MAX_DURATION)
        .set_delay(config::MAX_DURATION)
        .set_ordered(true)
        .set_payload_limit(config::MAX_PAYLOAD_BYTES)
        .set_raw_bytes(&bytes);
    let mut smallest = job("n");
    smallest
        .set_retries(0)
        .set_retry_backoff(Duration::ZERO)
        .set_max_backoff(Duration::ZERO)
        .set_delay(Duration::ZERO)
        .set_payload_limit(0);
    let mut held = job("held");
    held.set_commit_interval(Some(config::MAX_DURATION))
        .set_delay(config::MAX_DURATION);
    let ids = spawn_all(db.pool(), &[largest, smallest, held]).await.unwrap();
    assert_eq!(states(db.pool(), ids[0]).await, ["scheduled"]);
    assert_eq!(states(db.pool(), ids[1]).await, ["ready"]);
    assert_eq!(states(db.pool(), ids[2]).await, ["held"]);
    db.close().await;
}

#[tokio::test]
async fn a_bad_job_is_refused_before_the_connection_is_used() {
    let pool = nowhere();
    let too_large = vec![0; 600 << 20];
    let mut bad = vec![
        JobBuilder::new(""),
        JobBuilder::new("a\0b"),
        JobBuilder::new_with_id(Uuid::nil(), "nil"),
    ];
    let mut with = |configure: &dyn for<'b> Fn(&'b mut JobBuilder<'_>)| {
        let mut builder = job("bad");
        configure(&mut builder);
        bad.push(builder);
    };
    with(&|job| drop(job.set_retries(u32::MAX).clone()));
    with(&|job| drop(job.set_delay(Duration::MAX).clone()));
    with(&|job| drop(job.set_raw_json("{").clone()));
    with(&|job| drop(job.set_channel_name("\0").clone()));
    let mut large = job("large");
    large.set_raw_bytes(&too_large).set_payload_limit(256 << 20);
    bad.push(large);
    for job in bad {
        let outcome = job.spawn(&pool).await;
        assert!(
            matches!(outcome, Err(SpawnError::Invalid { .. })),
            "{job:?}: {outcome:?}"
        );
    }
    // The pool does fail for whoever uses it.
    let outcome = job("good").spawn(&pool).await;
    assert!(
        matches!(&outcome, Err(error @ SpawnError::Store { .. }) if error.is_transient()),
        "{outcome:?}"
    );
    // And nobody uses it for nothing.
    assert_eq!(spawn_all::<_, JobBuilder<'_>>(&pool, &[]).await.unwrap(), NONE);
}

#[tokio::test]
async fn a_refused_job_leaves_the_callers_transaction_usable() {
    let db = queue().await;
    let taken = job("taken").spawn(db.pool()).await.unwrap();
    let mut transaction = db.pool().begin().await.unwrap();
    let before = job("before").spawn(&mut *transaction).await.unwrap();

    let outcome = JobBuilder::new_with_id(taken, "again")
        .spawn(&mut *transaction)
        .await;
    assert!(
        matches!(&outcome, Err(SpawnError::DuplicateId { ids }) if *ids == [taken]),
        "{outcome:?}"
    );
    let outcome = JobBuilder::new_with_id(before, "again")
        .spawn(&mut *transaction)
        .await;
    assert!(
        matches!(&outcome, Err(SpawnError::DuplicateId { ids }) if *ids == [before]),
        "{outcome:?}"
    );
    let new = job("new");
    let outcome = spawn_all(
        &mut *transaction,
        &[&new, &JobBuilder::new_with_id(taken, "again")],
    )
    .await;
    assert!(
        matches!(&outcome, Err(SpawnError::DuplicateId { ids }) if *ids == [taken]),
        "{outcome:?}"
    );
    let outcome = spawn_all(&mut *transaction, &[&new, &new]).await;
    assert!(
        matches!(&outcome, Err(SpawnError::DuplicateId { ids }) if *ids == [new.as_ref().id()]),
        "{outcome:?}"
    );
    let outcome = job("").spawn(&mut *transaction).await;
    assert!(
        matches!(
            outcome,
            Err(SpawnError::Invalid {
                source: InvalidJob::EmptyName,
                ..
            })
        ),
        "{outcome:?}"
    );

    let after = job("after").spawn(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    for id in [taken, before, after] {
        assert_eq!(states(db.pool(), id).await, ["ready"]);
    }
    // All or none: the new job of the refused batch is not there.
    assert_eq!(count(db.pool()).await, 3);
    db.close().await;
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_the_transaction_commits() {
    let db = queue().await;
    let mut transaction = db.pool().begin().await.unwrap();
    let kept = job("kept").spawn(&mut *transaction).await.unwrap();
    let mut savepoint = transaction.begin().await.unwrap();
    let lost = job("lost")
        .set_ordered(true)
        .spawn(&mut *savepoint)
        .await
        .unwrap();
    savepoint.rollback().await.unwrap();
    assert!(!exists(db.pool(), kept).await.unwrap());
    transaction.commit().await.unwrap();
    assert!(exists(db.pool(), kept).await.unwrap());
    assert!(!exists(db.pool(), lost).await.unwrap());

    let mut transaction = db.pool().begin().await.unwrap();
    let lost = job("lost").spawn(&mut *transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    assert!(!exists(db.pool(), lost).await.unwrap());
    // The id of a rolled back job is free.
    JobBuilder::new_with_id(lost, "kept")
        .spawn(db.pool())
        .await
        .unwrap();
    db.close().await;
}

#[tokio::test]
async fn jobs_can_be_spawned_at_every_isolation_level() {
    let db = queue().await;
    for level in ["read committed", "repeatable read", "serializable"] {
        let mut connection = db.connect().await;
        sqlx::query("select set_config('default_transaction_isolation', $1, false)")
            .bind(level)
            .execute(&mut connection)
            .await
            .unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let plain = job("plain").spawn(&mut *transaction).await.unwrap();
        let ordered = job("ordered")
            .set_ordered(true)
            .spawn(&mut *transaction)
            .await
            .unwrap();
        let held = job("held")
            .set_commit_interval(Some(Duration::from_secs(9)))
            .spawn(&mut *transaction)
            .await
            .unwrap();
        let outcome = JobBuilder::new_with_id(plain, "again")
            .spawn(&mut *transaction)
            .await;
        assert!(
            matches!(outcome, Err(SpawnError::DuplicateId { .. })),
            "{level}: {outcome:?}"
        );
        transaction.commit().await.unwrap();
        for id in [plain, ordered, held] {
            assert_eq!(states(db.pool(), id).await.len(), 1, "{level}");
        }
        connection.close().await.unwrap();
    }
    db.close().await;
}

#[tokio::test]
async fn the_later_of_two_spawns_of_one_id_is_told_when_the_earlier_commits() {
    let db = queue().await;
    let id = Uuid::now_v7();
    let mut transaction = db.pool().begin().await.unwrap();
    JobBuilder::new_with_id(id, "earlier")
        .spawn(&mut *transaction)
        .await
        .unwrap();
    let later = JobBuilder::new_with_id(id, "later");
    let (outcome, committed) = tokio::join!(later.spawn(db.pool()), async {
        devpg::eventually("the later spawn to wait", async || {
            let waiting: i64 = sqlx::query_scalar("select count(*) from pg_locks where not granted")
                .fetch_one(db.pool())
                .await
                .map_err(|error| error.to_string())?;
            (waiting > 0)
                .then_some(())
                .ok_or_else(|| format!("{waiting} waiting"))
        })
        .await;
        transaction.commit().await
    });
    committed.unwrap();
    assert!(
        matches!(outcome, Err(SpawnError::DuplicateId { .. })),
        "{outcome:?}"
    );
    db.close().await;
}

#[tokio::test]
async fn delays_count_from_the_spawn_and_not_from_the_start_of_the_transaction() {
    let db = queue().await;
    let mut transaction = db.pool().begin().await.unwrap();
    transaction.execute("select pg_sleep(0.3)").await.unwrap();
    let delayed = job("delayed")
        .set_delay(Duration::from_secs(60))
        .spawn(&mut *transaction)
        .await
        .unwrap();
    let due_in: f64 = sqlx::query_scalar(
        "select extract(epoch from due_at - now())::float8 from mq_scheduled where id = $1",
    )
    .bind(delayed)
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    assert!((60.3..75.0).contains(&due_in), "{due_in}");
    transaction.commit().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn sessions_with_odd_settings_can_spawn() {
    let db = queue().await;
    let mut connection = db.connect().await;
    connection
        .execute(
            "create schema hostile;
             create table hostile.mq_jobs (id text);
             create function hostile.mq_key(variadic parts text[]) returns bigint language sql as 'select 1 / 0';
             create function hostile.octet_length(text) returns integer language sql as 'select 1 / 0';
             set search_path = hostile, public, pg_catalog;
             set time zone 'Asia/Kathmandu';
             set datestyle = 'SQL, DMY';
             set intervalstyle = 'sql_standard';
             set bytea_output = 'escape';
             set standard_conforming_strings = off;
             set extra_float_digits = -15;
             set plan_cache_mode = force_generic_plan;",
        )
        .await
        .unwrap();
    let mut odd = job("odd");
    odd.set_delay(Duration::from_nanos(3_600_000_000_001))
        .set_raw_bytes(b"\\x00")
        .set_raw_json(r#""\\""#);
    let id = odd.spawn(&mut connection).await.unwrap();
    let row = sqlx::query(
        "select payload_json, payload_bytes, due_at - spawned_at = interval '01:00:00.000001' as is_due_right
         from mq_jobs join mq_scheduled using (id) where id = $1",
    )
    .bind(id)
    .fetch_one(db.pool())
    .await
    .unwrap();
    assert_eq!(row.get::<&str, _>("payload_json"), r#""\\""#);
    assert_eq!(row.get::<&[u8], _>("payload_bytes"), b"\\x00");
    assert!(row.get::<bool, _>("is_due_right"));
    connection.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_missing_schema_is_told_from_other_failures() {
    let empty = TestDb::create_empty().await;
    let outcome = job("early").spawn(empty.pool()).await;
    assert!(
        matches!(&outcome, Err(error @ SpawnError::SchemaMissing { .. }) if !error.is_transient()),
        "{outcome:?}"
    );
    empty.close().await;

    let db = queue().await;
    let mut connection = db.connect().await;
    connection
        .execute("create schema elsewhere; set search_path = elsewhere")
        .await
        .unwrap();
    let outcome = job("lost").spawn(&mut connection).await;
    assert!(
        matches!(outcome, Err(SpawnError::SchemaMissing { .. })),
        "{outcome:?}"
    );

    connection
        .execute(
            "reset search_path;
             do $$ begin
               execute format('create role stranger_%s', (select oid from pg_database where datname = current_database()));
               execute format('grant usage on schema public to stranger_%s', (select oid from pg_database where datname = current_database()));
               execute format('set role stranger_%s', (select oid from pg_database where datname = current_database()));
             end $$",
        )
        .await
        .unwrap();
    let outcome = job("forbidden").spawn(&mut connection).await;
    assert!(
        matches!(&outcome, Err(error @ SpawnError::Store { .. }) if !error.is_transient()),
        "{outcome:?}"
    );
    connection
        .execute(
            "reset role;
             do $$ begin
               execute format('drop owned by stranger_%s', (select oid from pg_database where datname = current_database()));
               execute format('drop role stranger_%s', (select oid from pg_database where datname = current_database()));
             end $$",
        )
        .await
        .unwrap();
    connection.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_timeout_is_transient_and_stores_nothing() {
    let db = queue().await;
    let mut blocker = db.pool().begin().await.unwrap();
    blocker
        .execute("lock table mq_jobs in access exclusive mode")
        .await
        .unwrap();
    let mut connection = db.connect().await;
    connection
        .execute("set statement_timeout = '50ms'")
        .await
        .unwrap();
    let late = job("late");
    let outcome = late.spawn(&mut connection).await;
    assert!(
        matches!(&outcome, Err(error @ SpawnError::Store { .. }) if error.is_transient()),
        "{outcome:?}"
    );
    blocker.rollback().await.unwrap();
    assert!(!exists(db.pool(), late.as_ref().id()).await.unwrap());
    late.spawn(db.pool()).await.unwrap();
    connection.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn ordered_jobs_of_a_batch_are_in_line_as_in_the_slice() {
    let db = queue().await;
    let mut jobs: Vec<JobBuilder<'_>> = (0..50)
        .map(|_| JobBuilder::new_with_id(Uuid::new_v4(), "step"))
        .collect();
    for job in &mut jobs {
        job.set_channel_name("line").set_ordered(true);
    }
    let ids = spawn_all(db.pool(), &jobs).await.unwrap();
    let in_line: Vec<Uuid> = sqlx::query_scalar("select id from mq_line order by number")
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(in_line, ids);
    db.close().await;
}

#[tokio::test]
async fn jobs_of_mixed_kinds_fit_in_one_statement() {
    let db = queue().await;
    let jobs: Vec<JobBuilder<'_>> = (0..20_000_u32)
        .map(|number| {
            let mut builder = job(["mail", "fax", "letter"][number as usize % 3]);
            builder
                .set_channel_name(["a", "b"][number as usize % 2])
                .set_ordered(number % 5 == 0)
                .set_delay(Duration::from_secs(u64::from(number % 7)))
                .set_commit_interval((number % 11 == 0).then_some(Duration::from_secs(60)))
                .set_json(&number)
                .unwrap();
            builder
        })
        .collect();
    let ids = spawn_all(db.pool(), &jobs).await.unwrap();
    assert_eq!(ids.len(), jobs.len());
    assert_eq!(count(db.pool()).await, 20_000);
    let outcome = spawn_all(db.pool(), &jobs[..3]).await;
    assert!(
        matches!(&outcome, Err(SpawnError::DuplicateId { ids }) if ids.len() == 3),
        "{outcome:?}"
    );
    db.close().await;
}
