//! Spawns notify when, and only when, a runner sleeps.

use super::session::Session;
use crate::support::queue;
use devpg::eventually;
use sqlx::postgres::PgListener;
use std::time::Duration;
use tokio::time::timeout;

const BUCKETS: &str = "array[(mq_key('mail') & 63)::int]";

async fn listen(db: &devpg::TestDb) -> PgListener {
    let mut listener = PgListener::connect(db.url()).await.expect("a listener");
    let mut session = Session::open(db).await;
    let channel: String = session.one("select mq_wake_channel()").await;
    listener.listen(&channel).await.expect("listening");
    listener
}

/// What came before a marker that is sent now.
async fn hints_until_now(listener: &mut PgListener, session: &mut Session) -> usize {
    session.run("select pg_notify(mq_wake_channel(), 'marker')").await;
    let mut hints = 0;
    loop {
        let notification = timeout(Duration::from_secs(20), listener.recv())
            .await
            .expect("the marker")
            .expect("a notification");
        if notification.payload() == "marker" {
            return hints;
        }
        hints += 1;
    }
}

#[tokio::test]
async fn a_spawn_notifies_a_runner_that_sleeps() {
    let db = queue().await;
    let (mut runner, mut producer) = (Session::open(&db).await, Session::open(&db).await);
    let mut listener = listen(&db).await;
    assert!(runner.one::<bool>(&format!("select mq_sleep({BUCKETS})")).await);
    producer.spawn("mail", "").await;
    assert_eq!(hints_until_now(&mut listener, &mut producer).await, 1);

    runner.run(&format!("select mq_awaken({BUCKETS})")).await;
    producer.spawn("mail", "").await;
    assert_eq!(
        hints_until_now(&mut listener, &mut producer).await,
        0,
        "nobody sleeps"
    );
    db.close().await;
}

#[tokio::test]
async fn a_sleeper_of_other_names_does_not_make_a_busy_queue_notify() {
    let db = queue().await;
    let (mut runner, mut producer) = (Session::open(&db).await, Session::open(&db).await);
    let mut listener = listen(&db).await;
    runner
        .run("select mq_sleep(array[((mq_key('mail') + 1) & 63)::int, 64 + ((mq_key('') + 1) & 63)::int])")
        .await;
    producer.spawn("mail", "").await;
    assert_eq!(hints_until_now(&mut listener, &mut producer).await, 0);
    db.close().await;
}

#[tokio::test]
async fn committing_releasing_and_requeueing_wake() {
    let db = queue().await;
    let (mut sleeper, mut other) = (Session::open(&db).await, Session::runner(&db).await);
    let held: uuid::Uuid = other
        .one("select mq_spawn('mail', commit_interval => '1 hour')")
        .await;
    let mut listener = listen(&db).await;
    sleeper.run(&format!("select mq_sleep({BUCKETS})")).await;
    other
        .run(&format!("select mq_commit(array['{held}'::uuid])"))
        .await;
    assert_eq!(hints_until_now(&mut listener, &mut other).await, 1, "commit");
    let claim = other.claim(1, &["mail"]).await.claim;
    other.release(held, claim).await;
    assert_eq!(hints_until_now(&mut listener, &mut other).await, 1, "release");
    db.close().await;
}

#[tokio::test]
async fn notifying_can_be_switched_off_for_prepared_transactions() {
    let db = queue().await;
    let (mut sleeper, mut producer) = (Session::open(&db).await, Session::open(&db).await);
    let mut listener = listen(&db).await;
    sleeper.run(&format!("select mq_sleep({BUCKETS})")).await;
    producer.run("set sqlxmq.notify = off").await;
    producer.spawn("mail", "").await;
    assert_eq!(hints_until_now(&mut listener, &mut producer).await, 0);
    db.close().await;
}

#[tokio::test]
async fn a_spawn_that_is_not_visible_yet_is_seen_in_flight() {
    let db = queue().await;
    let (mut sleeper, mut producer) = (Session::open(&db).await, Session::open(&db).await);
    assert!(
        sleeper
            .one::<Vec<String>>("select mq_in_flight()")
            .await
            .is_empty()
    );
    producer.run("begin").await;
    producer.spawn("mail", "").await;
    assert_eq!(sleeper.one::<Vec<String>>("select mq_in_flight()").await.len(), 1);
    producer.run("commit").await;
    eventually("no spawn in flight", async || {
        let mut observer = Session::open(&db).await;
        let left = observer.one::<Vec<String>>("select mq_in_flight()").await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    db.close().await;
}

#[tokio::test]
async fn nobody_is_notified_while_the_queue_of_notifications_is_half_full() {
    let db = queue().await;
    let (mut sleeper, mut producer) = (Session::open(&db).await, Session::open(&db).await);
    let mut listener = listen(&db).await;
    sleeper.run(&format!("select mq_sleep({BUCKETS})")).await;
    // To fill it takes 4 GB and a listener that does not read. So this database is told what the server would say then.
    for (usage, hints) in [("0.5", 0), ("0.49", 1)] {
        producer
            .run(&format!(
                "create or replace function pg_catalog.pg_notification_queue_usage() returns double precision
                 language sql volatile as 'select {usage}::double precision'"
            ))
            .await;
        let mut spawner = Session::open(&db).await;
        spawner.spawn("mail", "").await;
        assert_eq!(
            hints_until_now(&mut listener, &mut producer).await,
            hints,
            "{usage}"
        );
    }
    db.close().await;
}

#[tokio::test]
async fn a_spawn_that_is_cancelled_while_it_probes_for_sleepers_leaves_no_lock() {
    let db = queue().await;
    let (mut producer, mut observer) = (Session::open(&db).await, Session::open(&db).await);
    // Whoever takes a lock in this database cancels itself at that very moment. An expression goes on after that, a function does not.
    observer
        .run(
            "create function pg_catalog.take_lock(bigint) returns boolean
               language internal volatile strict as 'pg_try_advisory_lock_int8';
             create or replace function pg_catalog.pg_try_advisory_lock(bigint) returns boolean
               language sql volatile as 'select take_lock($1) and pg_cancel_backend(pg_backend_pid())'",
        )
        .await;
    let cancelled = producer
        .try_run("select mq_spawn('mail')")
        .await
        .expect_err("cancelled while it probes");
    let code = cancelled
        .as_database_error()
        .and_then(|error| error.code().map(String::from));
    assert_eq!(code.as_deref(), Some("57014"));
    let locks: i64 = observer
        .one("select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
        .await;
    assert_eq!(
        locks, 0,
        "every runner that falls asleep would meet it until the spawner's connection ends"
    );
    // The same session, for a connection that broke would have lost its locks.
    assert_eq!(
        producer.one::<i32>("select pg_backend_pid()").await,
        producer.pid().await
    );
    db.close().await;
}
