//! Tables that have grown become small again, and nobody else notices.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devpg::{DevPg, TestDb, eventually};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use sqlxmq_core::{CompactError, CompactedTable, Compaction, CurrentJob, compact};
use uuid::Uuid;

use crate::runner_support::{given, runner, spawn_given};
use crate::support::{ByHand, job, queue, states};

/// So many rows of these make a table of more than 64 MB.
const LITTER: i32 = 200_000;
const MB: i64 = 1 << 20;

/// Rows that look like jobs, in a table that nobody else vacuums. Waits until the statistics know.
async fn scatter(pool: &PgPool, rows: i32) {
    let mut connection = PgConnection::connect_with(&pool.connect_options())
        .await
        .expect("a connection");
    connection
        .execute("alter table mq_jobs set (autovacuum_enabled = off)")
        .await
        .expect("a table left alone");
    sqlx::query(
        "insert into mq_jobs (id, spawned_at, max_attempts, ordered, name, channel_name, channel_args, payload_json)
         select mq_new_id(), mq_now(), 1, false, 'litter', '', '', repeat('x', 300) from generate_series(1, $1)",
    )
    .bind(rows)
    .execute(&mut connection)
    .await
    .expect("rows");
    connection.close().await.expect("goodbye");
    eventually("rows to be counted", async || {
        match number(pool, "select pg_stat_get_live_tuples('mq_jobs'::regclass)").await {
            live if live >= i64::from(rows) => Ok(()),
            live => Err(live.to_string()),
        }
    })
    .await;
}

/// Deletes them all but some, and waits until the statistics know.
async fn delete(pool: &PgPool, all_but: i64) {
    let before = dead_rows(pool).await;
    let mut connection = PgConnection::connect_with(&pool.connect_options())
        .await
        .expect("a connection");
    sqlx::query(
        "delete from mq_jobs where name = 'litter'
           and id not in (select j.id from mq_jobs as j where j.name = 'litter' limit $1)",
    )
    .bind(all_but)
    .execute(&mut connection)
    .await
    .expect("a deletion");
    // What a session has done is counted at its end at the latest.
    connection.close().await.expect("goodbye");
    eventually("dead rows to be counted", async || match dead_rows(pool).await {
        dead if dead > before => Ok(()),
        dead => Err(dead.to_string()),
    })
    .await;
}

async fn dead_rows(pool: &PgPool) -> i64 {
    number(pool, "select pg_stat_get_dead_tuples('mq_jobs'::regclass)").await
}

async fn size(pool: &PgPool) -> i64 {
    number(pool, "select pg_total_relation_size('mq_jobs')").await
}

/// Changes with each rewrite.
async fn file(pool: &PgPool) -> i64 {
    number(pool, "select pg_relation_filenode('mq_jobs')::bigint").await
}

async fn number(pool: &PgPool, question: &'static str) -> i64 {
    sqlx::query_scalar(question)
        .fetch_one(pool)
        .await
        .expect("a number")
}

/// A server of one's own. Whoever looks into a table while it is vacuumed holds on to what was there when the oldest open transaction
/// began, in whatever database that is.
async fn alone() -> (DevPg, PgPool) {
    let server = DevPg::start().expect("a server");
    let pool = PgPool::connect(&server.url("postgres")).await.expect("a pool");
    sqlxmq_core::migrate(&pool).await.expect("a queue");
    (server, pool)
}

fn of_jobs(done: &[CompactedTable]) -> Compaction {
    match done {
        [done] if done.table == "mq_jobs" => done.outcome,
        _ => panic!("{done:?}"),
    }
}

#[tokio::test]
async fn a_table_that_grew_under_an_open_snapshot_shrinks_after_its_end_and_not_before() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let running = job("running").set_raw_json("1").spawn(db.pool()).await.unwrap();
    let (_, claim) = runner.claim().await;
    let ready = job("ready").set_raw_json("2").spawn(db.pool()).await.unwrap();
    scatter(db.pool(), LITTER).await;
    let mut reader = db.connect().await;
    reader
        .execute("begin transaction isolation level repeatable read; select from mq_ready")
        .await
        .unwrap();
    delete(db.pool(), 0).await;
    let large = size(db.pool()).await;
    assert!(large > 64 * MB, "{large}");
    let done = compact(db.pool()).await.unwrap();
    assert_eq!(of_jobs(&done), Compaction::Pinned, "{done:?}");
    assert!(size(db.pool()).await >= large);
    let seen: i64 = sqlx::query_scalar("select count(*) from mq_jobs")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(seen, i64::from(LITTER) + 2);

    reader.close().await.unwrap();
    let done = compact(db.pool()).await.unwrap();
    assert_eq!(of_jobs(&done), Compaction::Rewritten, "{done:?}");
    let small = size(db.pool()).await;
    assert!(small < MB, "{small}");
    assert!(done[0].bytes_before >= large.unsigned_abs(), "{done:?}");
    assert_eq!(done[0].bytes_after, small.unsigned_abs());
    assert_eq!(compact(db.pool()).await.unwrap(), [], "nothing is left to do");

    // Everything is where it was.
    assert_eq!(states(db.pool(), ready).await, ["ready"]);
    assert!(runner.complete(running, claim).await);
    assert_eq!(runner.claim().await.0, [ready]);
    db.close().await;
}

/// The runner does it by itself, under load, and its jobs do not notice: none is lost, and none runs twice.
#[tokio::test]
async fn a_runner_makes_tables_small_and_runs_its_jobs_meanwhile() {
    let (_server, pool) = alone().await;
    scatter(&pool, LITTER).await;
    delete(&pool, 0).await;
    let before = file(&pool).await;
    let runs: Arc<Mutex<HashMap<Uuid, u32>>> = Arc::default();
    let counted = Arc::clone(&runs);
    let (mut options, mut errors) = runner(&pool, move |mut job: CurrentJob| {
        *counted.lock().unwrap().entry(job.id()).or_default() += 1;
        async move { Ok(job.complete().await?) }
    });
    options.set_concurrency(16, 32);
    let mut handle = options.run().await.unwrap();
    let mut spawned = Vec::new();
    let started = Instant::now();
    while file(&pool).await == before {
        spawned.push(spawn_given(&pool).await);
        assert!(started.elapsed() < Duration::from_secs(30), "not rewritten");
    }
    // Over connections and with statements that have known the table before.
    for _ in 0..100 {
        spawned.push(spawn_given(&pool).await);
    }
    eventually("all jobs to be gone", async || {
        match number(&pool, "select count(*) from mq_jobs").await {
            0 => Ok(()),
            left => Err(left.to_string()),
        }
    })
    .await;
    assert!(size(&pool).await < 10 * MB);
    handle.stop().await;
    drop((handle, options));
    let runs = std::mem::take(&mut *runs.lock().unwrap());
    assert_eq!(runs.len(), spawned.len());
    assert!(spawned.iter().all(|id| runs.get(id) == Some(&1)), "{runs:?}");
    assert_eq!(errors.recv().await, None);
    pool.close().await;
}

/// It reads all that is dead, minutes of it after a while.
#[tokio::test]
async fn a_vacuum_in_vain_is_not_repeated_until_the_snapshot_is_gone() {
    let (_server, pool) = alone().await;
    scatter(&pool, LITTER).await;
    let mut reader = PgConnection::connect_with(&pool.connect_options()).await.unwrap();
    reader
        .execute("begin transaction isolation level repeatable read; select from mq_ready")
        .await
        .unwrap();
    delete(&pool, 0).await;
    let before = file(&pool).await;
    let (options, _errors) = runner(
        &pool,
        |mut job: CurrentJob| async move { Ok(job.complete().await?) },
    );
    let mut handle = options.run().await.unwrap();
    let vacuums = async || number(&pool, "select pg_stat_get_vacuum_count('mq_jobs'::regclass)").await;
    // It looks after tables while there are jobs.
    let busy = async || {
        spawn_given(&pool).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let started = Instant::now();
    while vacuums().await == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "not vacuumed");
        busy().await;
    }
    // Which take longer than what it waits for if it sees nobody who pins.
    let mut looks = HashSet::new();
    while looks.len() < 6 {
        assert!(started.elapsed() < Duration::from_secs(60), "no looks: {looks:?}");
        let look: Option<String> = sqlx::query_scalar(
            "select query_start::text from pg_stat_activity
             where application_name = 'sqlxmq compact' and query like '%pg_replication_slots%'",
        )
        .fetch_optional(&pool)
        .await
        .unwrap();
        looks.extend(look);
        busy().await;
    }
    assert_eq!(vacuums().await, 1);
    reader.close().await.unwrap();
    let ended = Instant::now();
    while file(&pool).await == before {
        assert!(ended.elapsed() < Duration::from_secs(30), "not rewritten");
        busy().await;
    }
    handle.stop().await;
    pool.close().await;
}

#[tokio::test]
async fn a_runner_that_is_told_so_leaves_the_tables_alone() {
    let db = queue().await;
    scatter(db.pool(), LITTER).await;
    delete(db.pool(), 0).await;
    let (mut options, _errors) = runner(db.pool(), |_job: CurrentJob| async move { Ok(()) });
    let mut handle = options.set_compaction(false).run().await.unwrap();
    let started = Instant::now();
    // Past the first look. What is measured is time itself.
    while started.elapsed() < Duration::from_secs(4) {
        spawn_given(db.pool()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    handle.stop().await;
    assert_eq!(
        number(db.pool(), "select pg_stat_get_vacuum_count('mq_jobs'::regclass)").await,
        0
    );
    db.close().await;
}

/// Who waits for the lock makes everybody wait, so he gives up soon.
#[tokio::test]
async fn a_reader_that_holds_a_table_is_not_waited_for() {
    let (_server, pool) = alone().await;
    scatter(&pool, LITTER).await;
    delete(&pool, 0).await;
    let large = size(&pool).await;
    let mut reader = PgConnection::connect_with(&pool.connect_options()).await.unwrap();
    // Holds the table, and no snapshot.
    reader
        .execute("begin; select from mq_jobs limit 1")
        .await
        .unwrap();
    let compacting = compact(&pool);
    tokio::pin!(compacting);
    let mut longest = Duration::ZERO;
    let done = loop {
        let started = Instant::now();
        tokio::select! {
            // As the call says: but it is not dropped.
            done = &mut compacting => break done.unwrap(),
            // A spawn that is dropped at the end of the test is missed by nobody.
            spawned = async { given().spawn(&pool).await } => {
                spawned.unwrap();
                longest = longest.max(started.elapsed());
            }
        }
    };
    assert_eq!(of_jobs(&done), Compaction::Locked, "{done:?}");
    assert!(
        longest < Duration::from_millis(1500),
        "a spawn has waited for {longest:?}"
    );
    assert!(size(&pool).await >= large);
    reader.close().await.unwrap();
    let done = compact(&pool).await.unwrap();
    assert_eq!(of_jobs(&done), Compaction::Rewritten, "{done:?}");
    pool.close().await;
}

/// Lets the vacuums of sessions that begin after this take a minute and more.
async fn slow_down(pool: &PgPool) {
    pool.execute(
        "do $$ begin
           execute format('alter database %I set vacuum_cost_delay = 50', current_database());
           execute format('alter database %I set vacuum_cost_limit = 10', current_database());
         end $$",
    )
    .await
    .expect("settings");
}

async fn vacuums(pool: &PgPool) -> i64 {
    let question = "select count(*) from pg_stat_progress_vacuum where datname = current_database()";
    number(pool, question).await
}

async fn until_it_vacuums(pool: &PgPool) {
    eventually("the vacuum", async || match vacuums(pool).await {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    })
    .await;
}

/// Whoever changes the table waits for a vacuum, and everybody else behind him.
#[tokio::test]
async fn a_vacuum_gives_way_to_whoever_waits_for_its_table() {
    let db = queue().await;
    scatter(db.pool(), LITTER).await;
    delete(db.pool(), 0).await;
    slow_down(db.pool()).await;
    let alter = async {
        until_it_vacuums(db.pool()).await;
        let started = Instant::now();
        db.pool()
            .execute("alter table mq_jobs set (fillfactor = 90)")
            .await
            .unwrap();
        started.elapsed()
    };
    let (done, waited) = tokio::join!(compact(db.pool()), alter);
    assert!(waited < Duration::from_secs(30), "waited for {waited:?}");
    let done = done.unwrap();
    assert_eq!(of_jobs(&done), Compaction::Pinned, "{done:?}");
    db.close().await;
}

/// Nobody would look after it.
#[tokio::test]
async fn a_vacuum_ends_with_whoever_has_begun_it() {
    let db = queue().await;
    scatter(db.pool(), LITTER).await;
    delete(db.pool(), 0).await;
    slow_down(db.pool()).await;
    tokio::select! {
        // Dropped, as the test wants it.
        done = compact(db.pool()) => panic!("{done:?}"),
        // Only looks.
        () = until_it_vacuums(db.pool()) => {}
    }
    eventually("the end of the vacuum", async || match vacuums(db.pool()).await {
        0 => Ok(()),
        left => Err(left.to_string()),
    })
    .await;
    db.close().await;
}

/// Everybody waits for a rewrite: it is over in time, or not done.
#[tokio::test]
async fn a_rewrite_that_takes_long_is_given_up() {
    let db = queue().await;
    scatter(db.pool(), LITTER).await;
    delete(db.pool(), 10).await;
    let before = file(db.pool()).await;
    // An index that takes half a second for each row, in the sessions that begin after this.
    db.pool()
        .execute(
            "create function slow(id uuid) returns boolean language plpgsql immutable as $$ begin
               if current_setting('slow.is_on', true) = 'yes' then perform pg_sleep(0.5); end if;
               return true;
             end $$;
             create index slow on mq_jobs (slow(id));
             do $$ begin execute format('alter database %I set slow.is_on = yes', current_database()); end $$;",
        )
        .await
        .unwrap();
    let done = compact(db.pool()).await.unwrap();
    assert_eq!(of_jobs(&done), Compaction::TookTooLong, "{done:?}");
    assert_eq!(file(db.pool()).await, before);
    db.close().await;
}

#[tokio::test]
async fn a_table_with_many_live_rows_is_vacuumed_and_not_rewritten() {
    let db = queue().await;
    scatter(db.pool(), LITTER).await;
    let before = file(db.pool()).await;
    delete(db.pool(), 30_000).await;
    let done = compact(db.pool()).await.unwrap();
    assert_eq!(of_jobs(&done), Compaction::Vacuumed, "{done:?}");
    assert_eq!(file(db.pool()).await, before);
    // Those of the last moment may be kept for whoever looked at the table then, autovacuum to count it, say.
    let dead = dead_rows(db.pool()).await;
    assert!(dead < i64::from(LITTER) / 10, "{dead} dead rows");
    db.close().await;
}

/// As after a crash of the server, when every table looks empty.
#[tokio::test]
async fn a_table_that_no_vacuum_has_counted_is_not_rewritten() {
    let db = queue().await;
    scatter(db.pool(), LITTER).await;
    let mut other = db.connect().await;
    // What another vacuum of the table holds, so that ours passes it over.
    other
        .execute("begin; lock table mq_jobs in share update exclusive mode")
        .await
        .unwrap();
    db.pool().execute("select pg_stat_reset()").await.unwrap();
    eventually("the statistics to be empty", async || {
        match number(db.pool(), "select pg_stat_get_live_tuples('mq_jobs'::regclass)").await {
            0 => Ok(()),
            live => Err(live.to_string()),
        }
    })
    .await;
    let done = compact(db.pool()).await.unwrap();
    // A rewrite that was tried would have been locked out.
    assert_eq!(of_jobs(&done), Compaction::Pinned, "{done:?}");
    other.close().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn one_session_at_a_time_compacts() {
    let db = queue().await;
    let mut other = db.connect().await;
    other
        .execute("select pg_advisory_lock(mq_lock_base() + 129)")
        .await
        .unwrap();
    let refused = compact(db.pool()).await;
    assert!(
        matches!(&refused, Err(error @ CompactError::Busy) if error.is_transient()),
        "{refused:?}"
    );
    other.close().await.unwrap();
    let done = eventually("the lock to be free", async || {
        compact(db.pool()).await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(done, []);
    db.close().await;
}

#[tokio::test]
async fn a_database_without_a_queue_is_told_from_one_that_is_small() {
    let db = TestDb::create_empty().await;
    let refused = compact(db.pool()).await;
    assert!(
        matches!(&refused, Err(CompactError::SchemaMissing)),
        "{refused:?}"
    );
    db.close().await;
}
