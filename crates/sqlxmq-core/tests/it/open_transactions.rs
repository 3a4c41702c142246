//! Whoever is open while a mark is set or a runner falls asleep: no job is hidden for good, nor found late.

use devpg::{TestDb, eventually};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const RUNNER: Uuid = Uuid::from_u128(0xa);

async fn queue() -> TestDb {
    let db = TestDb::create(sqlxmq_core::migrator()).await;
    sqlx::query("select mq_register($1, '1 hour', 'a test')")
        .bind(RUNNER)
        .execute(db.pool())
        .await
        .expect("a runner");
    db
}

async fn spawn(connection: &mut PgConnection, channel_name: &str, jobs: i32) {
    sqlx::query("select mq_spawn('n', channel_name => $1) from generate_series(1, $2)")
        .bind(channel_name)
        .bind(jobs)
        .execute(connection)
        .await
        .expect("jobs");
}

/// Claims, as a sweep or not, and returns how many of the jobs were of a channel.
async fn claim(
    connection: &mut PgConnection,
    number: &mut i64,
    jobs: i32,
    sweep: bool,
    channel_name: &str,
) -> i64 {
    *number += 1;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select ids from mq_claim_by_name($1, $2, $3, 1 << 30, array[mq_key('n')], $4, null, false)",
    )
    .bind(RUNNER)
    .bind(*number)
    .bind(jobs)
    .bind(sweep)
    .fetch_one(&mut *connection)
    .await
    .expect("a claim");
    sqlx::query_scalar("select count(*) from mq_jobs where id = any ($1) and channel_name = $2")
        .bind(ids)
        .bind(channel_name)
        .fetch_one(connection)
        .await
        .expect("the claimed jobs")
}

async fn text(connection: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(connection).await.expect(sql)
}

#[tokio::test]
async fn a_spawn_that_was_open_while_marks_were_set_is_found_by_the_next_sweep() {
    let db = queue().await;
    let (mut spawner, mut claimer) = (db.connect().await, db.connect().await);
    let mut number = 0;
    spawn(&mut claimer, "backlog", 1000).await;

    // 1. A spawn is open. It takes its place at the lowest tag it sees.
    let mut open = spawner.begin().await.expect("a transaction");
    spawn(&mut open, "late", 1).await;
    // 2. Claims go far beyond that place, sweeping, so that each sets a mark.
    for _ in 0..6 {
        assert_eq!(claim(&mut claimer, &mut number, 100, true, "late").await, 0);
    }
    // 3. It commits.
    open.commit().await.expect("the late spawn");
    // 4. Claims that do not sweep may pass it by, a sweep may not.
    claim(&mut claimer, &mut number, 100, false, "late").await;
    assert_eq!(claim(&mut claimer, &mut number, 100, true, "late").await, 1);
}

#[tokio::test]
async fn late_jobs_that_a_sweep_leaves_are_found_by_the_next_ones() {
    let db = queue().await;
    let (mut spawner, mut claimer) = (db.connect().await, db.connect().await);
    let mut number = 0;
    spawn(&mut claimer, "backlog", 1000).await;
    let mut open = spawner.begin().await.expect("a transaction");
    spawn(&mut open, "late", 10).await;
    for _ in 0..6 {
        claim(&mut claimer, &mut number, 100, true, "late").await;
    }
    open.commit().await.expect("the late spawns");
    // Each sweep takes one of them and must not count the place of the others as safe. The claims between them go on
    // above, most of them without a mark of their own, so that the sweeps have one to set.
    for left in (0..10).rev() {
        claim(&mut claimer, &mut number, 10, false, "late").await;
        let found = claim(&mut claimer, &mut number, 1, true, "late").await;
        assert_eq!(found, 1, "with {left} to follow");
    }
}

#[tokio::test]
async fn a_spawn_with_the_newest_transaction_id_is_waited_for_too() {
    // Transaction ids are the whole server's, so other tests may get in between.
    for _ in 0..50 {
        if the_newest_transaction_id_is_a_spawner_s().await {
            return;
        }
    }
    panic!("never got the interleaving this test is about");
}

/// Returns whether no other transaction got in between.
async fn the_newest_transaction_id_is_a_spawner_s() -> bool {
    let db = queue().await;
    let (mut spawner, mut first, mut second) = (db.connect().await, db.connect().await, db.connect().await);
    let mut number = 0;
    spawn(&mut first, "backlog", 1000).await;

    // 1. A claim sets a mark and stays open. 2. A spawn that can't see it takes the next transaction id. 3. The claim
    // commits. Now the end of a snapshot, one more than the last id that *ended*, is not above the spawner's id.
    let mut marking = first.begin().await.expect("a transaction");
    claim(&mut marking, &mut number, 100, true, "late").await;
    let mut open = spawner.begin().await.expect("a transaction");
    spawn(&mut open, "late", 1).await;
    let spawner_id = text(&mut open, "select pg_current_xact_id()::text").await;
    marking.commit().await.expect("the mark");
    let end = text(
        &mut second,
        "select pg_snapshot_xmax(pg_current_snapshot())::text",
    )
    .await;

    for _ in 0..6 {
        assert_eq!(claim(&mut second, &mut number, 100, true, "late").await, 0);
    }
    open.commit().await.expect("the late spawn");
    assert_eq!(claim(&mut second, &mut number, 100, true, "late").await, 1);
    end == spawner_id
}

#[tokio::test]
async fn a_claim_that_is_rolled_back_leaves_its_jobs_in_reach() {
    let db = queue().await;
    let (mut first, mut second) = (db.connect().await, db.connect().await);
    let mut number = 0;
    spawn(&mut first, "rolled back", 100).await;
    spawn(&mut first, "backlog", 1000).await;

    let mut open = first.begin().await.expect("a transaction");
    claim(&mut open, &mut number, 200, true, "rolled back").await;
    for _ in 0..6 {
        claim(&mut second, &mut number, 100, true, "").await;
    }
    open.rollback().await.expect("a rollback");
    let mut found = 0;
    for _ in 0..6 {
        found += claim(&mut second, &mut number, 100, true, "rolled back").await;
    }
    let left: i64 = sqlx::query_scalar("select count(*) from mq_ready")
        .fetch_one(&mut second)
        .await
        .expect("the ready jobs");
    assert!(found > 0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn marks_become_safe_once_nobody_can_place_below_them() {
    let db = queue().await;
    let mut claimer = db.connect().await;
    let mut number = 0;
    // Transactions of other tests on this server count as well, hence the patience.
    eventually("the safe mark to follow", async || {
        spawn(&mut claimer, "backlog", 100).await;
        claim(&mut claimer, &mut number, 100, true, "").await;
        let (marks, unsafe_jobs): (i64, i64) =
            sqlx::query_as("select count(*), max(tag) - max(safe_tag) from mq_marks where tag > 3000 * 16")
                .fetch_one(&mut claimer)
                .await
                .map_err(|error| error.to_string())?;
        if unsafe_jobs > 1000 * 16 || marks > 3 {
            return Err(format!("{marks} marks, the safe one is {unsafe_jobs} behind"));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_claim_does_not_wait_for_one_that_sets_the_same_mark() {
    let db = queue().await;
    let (mut first, mut second) = (db.connect().await, db.connect().await);
    let mut number = 0;
    // One tag for all, so that both claims find the same lowest row.
    for channel_name in ["a", "b", "c"] {
        spawn(&mut first, channel_name, 1).await;
    }
    sqlx::query("set lock_timeout = '1 ms'")
        .execute(&mut second)
        .await
        .expect("a timeout");
    let mut open = first.begin().await.expect("a transaction");
    assert_eq!(claim(&mut open, &mut number, 1, true, "a").await, 1);
    assert_eq!(claim(&mut second, &mut number, 1, true, "b").await, 1);
    open.commit().await.expect("the first claim");
}

#[tokio::test]
async fn an_open_commit_of_held_jobs_is_seen_in_flight() {
    let db = queue().await;
    let (mut committer, mut sleeper) = (db.connect().await, db.connect().await);
    let id: Uuid = sqlx::query_scalar("select mq_spawn('n', commit_interval => '1 hour')")
        .fetch_one(&mut committer)
        .await
        .expect("a held job");
    let mut open = committer.begin().await.expect("a transaction");
    sqlx::query("select mq_commit(array[$1])")
        .bind(id)
        .execute(&mut *open)
        .await
        .expect("a commit of the job");
    let in_flight: Vec<String> = sqlx::query_scalar("select mq_in_flight()")
        .fetch_one(&mut sleeper)
        .await
        .expect("what is in flight");
    assert_eq!(in_flight.len(), 1);
    open.rollback().await.expect("a rollback");
}
