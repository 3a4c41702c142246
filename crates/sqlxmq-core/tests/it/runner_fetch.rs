//! Payloads that do not come with their claim.

use devpg::{TestDb, eventually};
use sqlx::{Connection, Executor, PgConnection};
use sqlxmq_core::{CurrentJob, JobBuilder};

use crate::runner_support::{given, runner, spawn_given, until_state};
use crate::support::{queue, states};

/// Nobody gets a payload that is asked for while somebody holds this lock.
const GATED: &str = "
do $$
begin
  execute replace(pg_get_functiondef('mq_payloads(uuid[])'::regprocedure), 'return query',
    'perform pg_advisory_xact_lock_shared(4711); return query');
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

async fn until_one_waits(db: &TestDb) {
    eventually("a payload to be asked for", async || {
        match waiting(db).await.len() {
            1 => Ok(()),
            waiting => Err(format!("{waiting} wait")),
        }
    })
    .await;
}

/// Runs a job whose payload does not come with its claim: from then on the runner has a connection for them.
async fn run_first(db: &TestDb) {
    let first = big().spawn(db.pool()).await.unwrap();
    until_state(db.pool(), first, "").await;
    eventually("a connection to fetch payloads over", async || {
        let there: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'sqlxmq fetch'",
        )
        .fetch_one(db.pool())
        .await
        .unwrap();
        match there {
            1 => Ok(()),
            there => Err(format!("{there} are there")),
        }
    })
    .await;
}

fn big() -> JobBuilder<'static> {
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
    let mut handle = options.set_concurrency(8, 16).run().await.unwrap();
    run_first(&db).await;

    let gate = gate(&db).await;
    let slow = big().spawn(db.pool()).await.unwrap();
    until_one_waits(&db).await;
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
    gate.close().await.unwrap();
    until_state(db.pool(), slow, "").await;
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
    let mut handle = options.set_concurrency(8, 16).run().await.unwrap();
    run_first(&db).await;

    let gate = gate(&db).await;
    let left = big().spawn(db.pool()).await.unwrap();
    until_one_waits(&db).await;
    handle.stop().await;
    assert_eq!(
        waiting(&db).await.len(),
        1,
        "it has waited until the payload was given up"
    );
    assert_eq!(states(db.pool(), left).await, ["ready"]);
    gate.close().await.unwrap();
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), left, "").await;
    handle.stop().await;
    assert!(errors.try_recv().is_err());
    db.close().await;
}
