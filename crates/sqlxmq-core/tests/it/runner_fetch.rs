//! Payloads that do not come with their claim.

use devpg::{TestDb, eventually};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use sqlxmq_core::{CurrentJob, JobBuilder, JobRunnerHandle, JobRunnerOptions};

use crate::runner_support::{given, runner, spawn_given, until_state};
use crate::support::{queue, states};

/// Nobody gets a payload that is asked for while somebody holds this lock.
const GATED: &str = "
do $$
begin
  execute replace(pg_get_functiondef('mq_payloads(uuid[])'::regprocedure), 'return query',
    'perform set_config(''lock_timeout'', ''0'', true); perform pg_advisory_xact_lock_shared(4711); return query');
end $$";

/// The server processes of fetches that wait at the gate.
async fn waiting(db: &TestDb) -> Vec<i32> {
    sqlx::query_scalar(
        "select l.pid from pg_locks as l
         where l.locktype = 'advisory' and l.objid = 4711 and not l.granted
           and l.database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_all(db.pool())
    .await
    .unwrap()
}

/// Holds the gate until it is closed.
async fn gate(db: &TestDb) -> PgConnection {
    let mut gate = PgConnection::connect(db.url()).await.unwrap();
    gate.execute("select pg_advisory_lock(4711)").await.unwrap();
    gate
}

async fn until_waiting(db: &TestDb, fetches: usize) {
    eventually("payloads to be asked for", async || {
        match waiting(db).await.len() {
            waiting if waiting == fetches => Ok(()),
            waiting => Err(format!("{waiting} wait")),
        }
    })
    .await;
}

pub async fn run_one(db: &TestDb, job: &JobBuilder<'_>) {
    let id = job.spawn(db.pool()).await.unwrap();
    until_state(db.pool(), id, "").await;
}

pub async fn fetches_beside(db: &TestDb) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_stat_activity
         where datname = current_database() and application_name = 'sqlxmq fetch')",
    )
    .fetch_one(db.pool())
    .await
    .unwrap()
}

/// Runs jobs whose payloads do not come with their claims, until the runner has a connection for them.
pub async fn run_until_it_fetches_beside(db: &TestDb, options: &JobRunnerOptions) -> JobRunnerHandle {
    // If it can't connect within half a second, on a busy machine, it does without for a minute.
    for _ in 0..10 {
        let mut handle = options.run().await.unwrap();
        // The second is why; when the third is claimed it is connected.
        for _ in 0..3 {
            run_one(db, &big()).await;
        }
        if fetches_beside(db).await {
            return handle;
        }
        handle.stop().await;
    }
    panic!("no runner has a connection to fetch payloads over");
}

pub fn big() -> JobBuilder<'static> {
    let mut big = given();
    big.set_raw_bytes(&[0; 100_000]);
    big
}

async fn gated_queue() -> TestDb {
    let db = queue().await;
    db.pool().execute(GATED).await.unwrap();
    db
}

#[tokio::test]
async fn a_payload_that_is_slow_on_its_way_does_not_hold_up_what_is_claimed_after_it() {
    let db = gated_queue().await;
    let (mut options, mut errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    let mut handle = run_until_it_fetches_beside(&db, options.set_concurrency(8, 16)).await;

    let gate = gate(&db).await;
    let slow = big().spawn(db.pool()).await.unwrap();
    until_waiting(&db, 1).await;
    let before = waiting(&db).await;
    for _ in 0..10 {
        let small = spawn_given(db.pool()).await;
        until_state(db.pool(), small, "").await;
    }
    assert_eq!(
        waiting(&db).await,
        before,
        "the others had to wait until the runner gave up"
    );
    assert_eq!(states(db.pool(), slow).await, ["running"]);
    // Another one does not wait for that.
    let other = big().spawn(db.pool()).await.unwrap();
    until_waiting(&db, 2).await;
    gate.close().await.unwrap();
    until_state(db.pool(), slow, "").await;
    until_state(db.pool(), other, "").await;
    handle.stop().await;
    assert!(errors.try_recv().is_err());
    db.close().await;
}

#[tokio::test]
async fn a_runner_that_stops_does_not_wait_for_a_payload_and_gives_its_job_back() {
    let db = gated_queue().await;
    let (mut options, mut errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    let mut handle = run_until_it_fetches_beside(&db, options.set_concurrency(8, 16)).await;

    let gate = gate(&db).await;
    // One is fetched beside the claims, and the other over the connection that claims.
    let mut left = Vec::new();
    for fetches in 1..3 {
        left.push(big().spawn(db.pool()).await.unwrap());
        until_waiting(&db, fetches).await;
    }
    handle.stop().await;
    assert_eq!(
        waiting(&db).await.len(),
        2,
        "it has waited until the payloads were given up"
    );
    for id in &left {
        assert_eq!(states(db.pool(), *id).await, ["ready"]);
    }
    gate.close().await.unwrap();
    let mut handle = options.run().await.unwrap();
    for id in left {
        until_state(db.pool(), id, "").await;
    }
    handle.stop().await;
    assert!(errors.try_recv().is_err());
    db.close().await;
}

#[tokio::test]
async fn payloads_are_fetched_over_the_connection_that_claims_where_there_is_no_other() {
    let db = queue().await;
    let role = format!("five_{}", uuid::Uuid::new_v4().simple());
    db.pool()
        .execute(AssertSqlSafe(format!(
            "create role {role} login connection limit 5; grant execute on all functions in schema public to {role}"
        )))
        .await
        .unwrap();
    let (mut options, mut errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    let own = PgConnectOptions::clone(&db.pool().connect_options()).username(&role);
    options.set_connect_options(own).set_concurrency(8, 16);
    let mut handle = options.run().await.unwrap();
    for _ in 0..3 {
        run_one(&db, &big()).await;
    }
    assert!(!fetches_beside(&db).await);
    run_one(&db, &given()).await;
    handle.stop().await;
    assert!(errors.try_recv().is_err());
    db.pool()
        .execute(AssertSqlSafe(format!("drop owned by {role}; drop role {role}")))
        .await
        .unwrap();
    db.close().await;
}
