//! Spawning: what is stored, what is refused, and what both leave of the caller's transaction.

use std::time::{Duration, SystemTime};

use sqlx::{AssertSqlSafe, Connection, Executor, PgPool};
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
async fn nothing_is_spawned_without_a_connection() {
    let nobody = spawn_all::<_, JobBuilder<'_>>(&nowhere(), &[]).await;
    assert_eq!(nobody.unwrap(), NONE);
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
async fn a_job_of_any_past_is_due_at_once() {
    let db = queue().await;
    let long_ago = (0..63)
        .rev()
        .find_map(|power| SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1 << power)));
    for time in [
        SystemTime::now(),
        SystemTime::UNIX_EPOCH,
        long_ago.expect("a time"),
    ] {
        let id = job("past").set_time(time).spawn(db.pool()).await.unwrap();
        assert_eq!(states(db.pool(), id).await, ["ready"], "{time:?}");
    }
    db.close().await;
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
    // Many, if they are what a transaction writes first, are stored another way.
    for others in [1, 100] {
        let mut fresh = db.pool().begin().await.unwrap();
        for transaction in [&mut transaction, &mut fresh] {
            let mut batch: Vec<_> = (0..others).map(|_| job("other")).collect();
            batch.push(JobBuilder::new_with_id(taken, "again"));
            let outcome = spawn_all(&mut **transaction, &batch).await;
            assert!(
                matches!(&outcome, Err(SpawnError::DuplicateId { ids }) if *ids == [taken]),
                "{outcome:?}"
            );
        }
        job("usable").spawn(&mut *fresh).await.unwrap();
        fresh.rollback().await.unwrap();
    }
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

/// What is stored of a job besides its id and its time, and where it is.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Stored {
    name: String,
    channel_name: String,
    channel_args: String,
    ordered: bool,
    max_attempts: i32,
    backoff_us: Option<i64>,
    max_backoff_us: Option<i64>,
    payload_json: Option<String>,
    payload_bytes: Option<Vec<u8>>,
    #[sqlx(skip)]
    states: Vec<String>,
}

async fn stored(pool: &PgPool, id: Uuid) -> Stored {
    let stored: Stored = sqlx::query_as(
        "select name, channel_name, channel_args, ordered, max_attempts, mq_microseconds(backoff) as backoff_us,
           mq_microseconds(max_backoff) as max_backoff_us, payload_json, payload_bytes
         from mq_jobs where id = $1",
    )
    .bind(id)
    .fetch_one(pool)
    .await
    .expect("a job");
    Stored {
        states: states(pool, id).await,
        ..stored
    }
}

/// What all jobs of a batch share is sent, and looked at, once.
#[tokio::test]
async fn a_job_that_differs_from_the_others_of_its_batch_is_stored_as_if_alone() {
    let db = queue().await;
    fn named(name: &str) -> JobBuilder<'_> {
        let mut builder = job(name);
        builder
            .set_channel_name("out")
            .set_channel_args("eu")
            .set_retry_backoff(Duration::from_secs(5))
            .set_max_backoff(Duration::from_secs(55))
            .set_raw_json("0");
        builder
    }
    let like_the_others = || named("mail");
    let differences: [fn(&mut JobBuilder<'_>); 12] = [
        |_| {},
        |job| *job = named("fax"),
        |job| _ = job.set_channel_name("in"),
        |job| _ = job.set_channel_args("us"),
        |job| _ = job.set_ordered(true),
        |job| _ = job.set_retries(9),
        |job| _ = job.set_retry_backoff(Duration::from_secs(7)),
        |job| _ = job.set_max_backoff(Duration::from_secs(77)),
        |job| _ = job.set_delay(Duration::from_secs(3600)),
        |job| _ = job.set_commit_interval(Some(Duration::from_secs(3600))),
        |job| _ = job.set_raw_json("1"),
        |job| _ = job.set_raw_bytes(b"bytes"),
    ];
    // Stored in two ways, by how many they are.
    for others in [3, 70] {
        for difference in differences {
            for is_first in [true, false] {
                let mut jobs: Vec<_> = (0..others).map(|_| like_the_others()).collect();
                let place = if is_first { 0 } else { others - 1 };
                difference(&mut jobs[place]);
                let mut alone = like_the_others();
                difference(&mut alone);
                let ids = spawn_all(db.pool(), &jobs).await.unwrap();
                let alone = alone.spawn(db.pool()).await.unwrap();
                let usual = like_the_others().spawn(db.pool()).await.unwrap();
                let (alone, usual) = (stored(db.pool(), alone).await, stored(db.pool(), usual).await);
                for (nth, id) in ids.into_iter().enumerate() {
                    let same = if nth == place { &alone } else { &usual };
                    assert_eq!(stored(db.pool(), id).await, *same);
                }
            }
        }
    }
    db.close().await;
}

/// The arguments of the function that spawns many, but the ids: their types, and what they usually are here.
const COLUMNS: [(&str, &str, &str); 11] = [
    ("names", "text", "mail"),
    ("channel_names", "text", "out"),
    ("channel_args", "text", "eu"),
    ("ordered", "boolean", "false"),
    ("retries", "integer", "4"),
    ("backoffs_us", "bigint", "7000000"),
    ("max_backoffs_us", "bigint", "77000000"),
    ("delays_us", "bigint", "0"),
    ("commit_intervals_us", "bigint", "null"),
    ("payloads_json", "text", "1"),
    ("payloads_bytes", "bytea", "b"),
];

/// Spawns three jobs whose arguments are the usual ones, `times` each, but for one.
async fn spawn_three(
    pool: &PgPool,
    times: usize,
    (other, elements): (&str, &[&str]),
) -> Result<Vec<Stored>, sqlx::Error> {
    let arguments = COLUMNS.map(|(name, of, usual)| {
        let elements = match name == other {
            true => elements.join(","),
            false => vec![usual; times].join(","),
        };
        format!("{name} => '{{{elements}}}'::{of}[]")
    });
    let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    sqlx::query(AssertSqlSafe(format!(
        "select mq_spawn_all(ids => $1, {})",
        arguments.join(", ")
    )))
    .bind(&ids)
    .execute(pool)
    .await?;
    let mut three = Vec::new();
    for id in ids {
        three.push(stored(pool, id).await);
    }
    Ok(three)
}

#[tokio::test]
async fn an_array_with_one_element_is_for_all_jobs_and_one_with_too_few_is_refused() {
    let db = queue().await;
    for (column, element) in [
        ("names", "fax"),
        ("channel_names", "in"),
        ("channel_args", "us"),
        ("ordered", "true"),
        ("retries", "1"),
        ("backoffs_us", "8"),
        ("max_backoffs_us", "9"),
        ("delays_us", "3600000000"),
        ("commit_intervals_us", "3600000000"),
        ("payloads_json", "2"),
        ("payloads_bytes", "c"),
    ] {
        let all_once = spawn_three(db.pool(), 1, (column, &[element])).await.unwrap();
        let each = spawn_three(db.pool(), 3, (column, &[element; 3])).await.unwrap();
        assert_eq!(all_once, each, "{column}");
        for too_few in [&[][..], &[element; 2]] {
            let refused = spawn_three(db.pool(), 1, (column, too_few)).await;
            let code = match &refused {
                Err(sqlx::Error::Database(error)) => error.code(),
                _ => None,
            };
            assert_eq!(code.as_deref(), Some("2202E"), "{column}: {refused:?}");
        }
    }
    // One that varies, beside those that don't.
    for (column, elements) in [
        ("names", ["fax", "mail", "fax"]),
        ("channel_names", ["in", "out", "in"]),
        ("channel_args", ["us", "eu", "us"]),
        ("ordered", ["true", "false", "true"]),
        ("retries", ["1", "2", "3"]),
        ("backoffs_us", ["1", "2", "null"]),
        ("max_backoffs_us", ["1", "null", "3"]),
        ("delays_us", ["0", "3600000000", "0"]),
        ("commit_intervals_us", ["null", "3600000000", "null"]),
        ("payloads_json", ["1", "null", "3"]),
        ("payloads_bytes", ["null", "b", "c"]),
    ] {
        let others_once = spawn_three(db.pool(), 1, (column, &elements)).await.unwrap();
        let each = spawn_three(db.pool(), 3, (column, &elements)).await.unwrap();
        assert_eq!(others_once, each, "{column}");
        assert_ne!(each[0], each[1], "{column}");
    }
    db.close().await;
}

#[tokio::test]
async fn a_time_may_be_for_all_jobs_and_too_few_times_are_refused() {
    let db = queue().await;
    for (delays, due, expected) in [
        ("'{0}'", "'{4102444800000000}'", Ok("scheduled")),
        ("'{0}'", "'{0}'", Ok("ready")),
        ("'{3600000000}'", "'{null}'", Ok("scheduled")),
        ("'{0}'", "'{null}'", Ok("ready")),
        ("'{0,0}'", "'{null,null}'", Err("2202E")),
        ("'{}'", "'{}'", Err("2202E")),
        ("'{0,0,0,0}'", "'{null}'", Err("2202E")),
    ] {
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let spawned = sqlx::query(AssertSqlSafe(format!(
            "select mq_spawn_all_at($1, '{{mail}}', '{{out}}', '{{eu}}', '{{f}}', '{{4}}', '{{1000}}', '{{2000}}', {delays}, '{{null}}',
               '{{1}}', '{{null}}', {due})"
        )))
        .bind(&ids)
        .execute(db.pool())
        .await;
        match (spawned, expected) {
            (Ok(_), Ok(state)) => {
                for id in ids {
                    assert_eq!(states(db.pool(), id).await, [state], "{delays} {due}");
                }
            }
            (Err(sqlx::Error::Database(error)), Err(code)) => {
                assert_eq!(error.code().as_deref(), Some(code), "{delays} {due}");
            }
            (spawned, expected) => panic!("{delays} {due}: {spawned:?}, not {expected:?}"),
        }
    }
    db.close().await;
}
