//! The testing kit: what it runs, when, and what it says about it.

use std::time::Duration;

use devpg::TestDb;
use sqlxmq::testing::{Ended, TestQueue, spawned};
use sqlxmq::{CurrentJob, JobRegistry, JobTx, Json, Next, Outcome, assert_spawned, job, refute_spawned};

#[job]
async fn parent(job: &mut CurrentJob) -> Result<(), sqlx::Error> {
    for child_name in ["ada", "grace"] {
        child
            .builder(&child_name.to_owned())
            .spawn(job.pool())
            .await
            .map_err(|_| sqlx::Error::RowNotFound)?;
    }
    Ok(())
}

#[job]
async fn child(Json(name): Json<String>) -> Result<(), std::fmt::Error> {
    if name == "eve" {
        Err(std::fmt::Error)
    } else {
        Ok(())
    }
}

#[job]
async fn sleepy(job: &CurrentJob) -> Result<Outcome, std::fmt::Error> {
    let _ = job;
    Ok(Outcome::Snooze(Duration::from_secs(60)))
}

#[job(retries = 1, backoff_secs = 60)]
async fn broken(_job: &CurrentJob) -> Result<(), std::fmt::Error> {
    Err(std::fmt::Error)
}

#[job]
async fn robbed(mut job: CurrentJob, queue: std::sync::Arc<TestQueue>) -> Result<(), sqlxmq::CompleteError> {
    if job.attempt() == 1
        && job.raw_json() != Some("0")
        && TAKEN.swap(1, std::sync::atomic::Ordering::SeqCst) == 0
    {
        queue.lose_leases().await;
    }
    job.complete().await
}

static TAKEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

async fn queue() -> (TestDb, TestQueue, JobRegistry) {
    let db = TestDb::create(sqlxmq::migrator()).await;
    let queue = TestQueue::of(db.pool()).await;
    let mut registry = JobRegistry::new(&[parent, child.named(), sleepy, broken]);
    registry.set_error_handler(|_, _| {});
    (db, queue, registry)
}

#[tokio::test]
async fn drain_runs_what_jobs_spawn_and_says_what_happened() {
    let (_db, queue, registry) = queue().await;
    let id = parent.builder().spawn(queue.pool()).await.unwrap();
    let ran = queue.drain(&registry).await;
    let names: Vec<&str> = ran.iter().map(|one| &*one.name).collect();
    assert_eq!(names, [parent.name(), child.name(), child.name()]);
    assert_eq!((ran[0].id, ran[0].attempt), (id, 1));
    assert!(
        ran.iter()
            .all(|one| one.ended == Ended::Completed && one.error.is_none()),
        "{ran:?}"
    );
    assert!(queue.drain(&registry).await.is_empty());
}

#[tokio::test]
async fn a_backoff_and_a_delay_pass_when_the_clock_is_moved_and_not_before() {
    let (_db, queue, registry) = queue().await;
    broken
        .builder()
        .set_delay(Duration::from_secs(3600))
        .spawn(queue.pool())
        .await
        .unwrap();
    assert!(queue.drain(&registry).await.is_empty());
    queue.advance(Duration::from_secs(3599)).await;
    assert!(queue.run_one(&registry).await.is_none());
    queue.advance(Duration::from_secs(1)).await;
    let first = queue.drain(&registry).await;
    let Ended::Retries { after } = first[0].ended else {
        panic!("{first:?}")
    };
    assert!(
        after >= Duration::from_secs(60) && after <= Duration::from_secs(66),
        "{after:?}"
    );
    assert_eq!(first.len(), 1);
    assert_eq!(queue.advance_to_next().await, Some(after));
    let second = queue.drain(&registry).await;
    assert_eq!((second[0].attempt, second[0].ended), (2, Ended::Dead));
    assert!(
        second[0].error.as_deref().unwrap().contains("error"),
        "{second:?}"
    );
    assert_eq!(queue.advance_to_next().await, None);
}

#[tokio::test]
async fn a_snoozed_job_is_released_for_its_time() {
    let (_db, queue, registry) = queue().await;
    sleepy.builder().spawn(queue.pool()).await.unwrap();
    let ran = queue.drain(&registry).await;
    assert_eq!(ran.len(), 1);
    assert_eq!(
        ran[0].ended,
        Ended::Released {
            after: Duration::from_secs(60)
        }
    );
}

#[tokio::test]
async fn assertions_see_what_a_transaction_has_spawned() {
    let (_db, queue, _registry) = queue().await;
    let mut tx = queue.pool().begin().await.unwrap();
    child.builder(&"ada".to_owned()).spawn(&mut *tx).await.unwrap();
    assert_spawned!(&mut *tx, child, payload matches name if name == "ada");
    refute_spawned!(&mut *tx, child, payload matches name if name == "eve");
    refute_spawned!(&mut *tx, parent);
    refute_spawned!(queue.pool(), child);
    tx.rollback().await.unwrap();
    assert!(spawned(queue.pool()).await.is_empty());
}

#[tokio::test]
#[should_panic(expected = "the queue holds:\n  testing::child \"ada\" in channel")]
async fn a_failed_assertion_shows_what_was_spawned() {
    let (_db, queue, _registry) = queue().await;
    child
        .builder(&"ada".to_owned())
        .spawn(queue.pool())
        .await
        .unwrap();
    assert_spawned!(queue.pool(), child, payload matches name if name == "eve");
}

#[tokio::test]
async fn a_job_whose_lease_is_lost_runs_again() {
    let (_db, queue, _) = queue().await;
    let queue = std::sync::Arc::new(queue);
    let mut registry = JobRegistry::new(&[robbed]);
    registry
        .set_context(std::sync::Arc::clone(&queue))
        .set_error_handler(|_, _| {});
    robbed.builder().spawn(queue.pool()).await.unwrap();
    let ran = queue.drain(&registry).await;
    let ended: Vec<Ended> = ran.iter().map(|one| one.ended).collect();
    assert_eq!(ended, [Ended::Lost, Ended::Completed]);
}

#[job(retries = 3)]
async fn writes(tx: &mut JobTx, times: u8) -> Result<(), sqlx::Error> {
    for _ in 0..times {
        sqlx::query("insert into effects default values")
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn layers_and_transactions_are_the_registrys_here_as_well() {
    let (_db, queue, _) = queue().await;
    sqlx::raw_sql("create table effects (at timestamptz default now())")
        .execute(queue.pool())
        .await
        .unwrap();
    let mut registry = JobRegistry::new(&[writes]);
    registry.set_error_handler(|_, _| {}).promise_context::<u8>();
    registry.add_layer(async |mut job: CurrentJob, next: Next| {
        job.set_context(2_u8);
        next.run(job).await
    });
    writes.builder().spawn(queue.pool()).await.unwrap();
    queue.fail_next_complete().await;
    assert!(matches!(
        queue.drain(&registry).await[0].ended,
        Ended::Retries { .. }
    ));
    queue.advance_to_next().await;
    assert_eq!(queue.drain(&registry).await[0].ended, Ended::Completed);
    let effects: i64 = sqlx::query_scalar("select count(*) from effects")
        .fetch_one(queue.pool())
        .await
        .unwrap();
    assert_eq!(effects, 2);
}

#[tokio::test]
async fn a_completion_fails_once() {
    let (_db, queue, registry) = queue().await;
    child
        .builder(&"ada".to_owned())
        .spawn(queue.pool())
        .await
        .unwrap();
    queue.fail_next_complete().await;
    let ran = queue.drain(&registry).await;
    let Ended::Retries { .. } = ran[0].ended else {
        panic!("{ran:?}")
    };
    queue.advance_to_next().await;
    assert_eq!(queue.drain(&registry).await[0].ended, Ended::Completed);
}

#[tokio::test]
#[should_panic(expected = "1 runners are at work in this database")]
async fn a_database_with_a_runner_is_refused() {
    let db = TestDb::create(sqlxmq::migrator()).await;
    sqlx::query("select mq_register(gen_random_uuid(), interval '1 hour', 'somebody')")
        .execute(db.pool())
        .await
        .unwrap();
    TestQueue::of(db.pool()).await;
}

#[tokio::test]
async fn a_database_of_its_own_is_gone_at_the_end() {
    let db = TestDb::create(sqlxmq::migrator()).await;
    let queue = TestQueue::create_at(db.url()).await;
    let name: String = sqlx::query_scalar("select current_database()")
        .fetch_one(queue.pool())
        .await
        .unwrap();
    let count = "select count(*) from pg_database where datname = $1";
    let there: i64 = sqlx::query_scalar(count)
        .bind(&name)
        .fetch_one(db.pool())
        .await
        .unwrap();
    drop(queue);
    let left: i64 = sqlx::query_scalar(count)
        .bind(&name)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!((there, left), (1, 0));
}
