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
async fn a_job_of_a_time_that_the_process_tells_is_due_when_the_clock_has_moved_to_it() {
    let (_db, queue, registry) = queue().await;
    let in_an_hour = std::time::SystemTime::now() + Duration::from_secs(3600);
    let job = child.builder(&"ada".to_owned());
    job.spawn_at(in_an_hour, queue.pool()).await.unwrap();
    let step = queue.advance_to_next().await.unwrap();
    assert!(step >= Duration::from_secs(3600), "{step:?}");
    assert_eq!(queue.complete_all(&registry).await, 1);
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
    let ended: Vec<(u32, Ended)> = ran.iter().map(|one| (one.attempt, one.ended)).collect();
    assert_eq!(ended, [(1, Ended::Lost), (2, Ended::Completed)]);
    // The attempt is used: without another one the job is dead.
    TAKEN.store(0, std::sync::atomic::Ordering::SeqCst);
    let id = robbed.builder().set_retries(0).spawn(queue.pool()).await.unwrap();
    let ran = queue.drain(&registry).await;
    assert_eq!(ran.len(), 1);
    let dead: bool = sqlx::query_scalar("select exists (select from mq_dead where id = $1)")
        .bind(id)
        .fetch_one(queue.pool())
        .await
        .unwrap();
    assert!(dead);
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

tokio::task_local! {
    static REQUEST: u32;
}

/// What a job of a test has seen of the test's task.
static SEEN: std::sync::Mutex<Vec<(Option<u32>, std::thread::ThreadId)>> = std::sync::Mutex::new(Vec::new());

#[job("look around")]
async fn look_around() {
    // Not only before the first wait.
    tokio::task::yield_now().await;
    let request = REQUEST.try_with(|request| *request).ok();
    SEEN.lock().unwrap().push((request, std::thread::current().id()));
}

// A job in a task of the runtime would be on a thread of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_in_the_task_of_the_test() {
    let (_db, queue, _) = queue().await;
    let registry = JobRegistry::new(&[look_around]);
    for _ in 0..2 {
        look_around.builder().spawn(queue.pool()).await.unwrap();
    }
    let here = std::thread::current().id();
    REQUEST
        .scope(7, async {
            queue.run_one(&registry).await;
            queue.drain(&registry).await;
        })
        .await;
    assert_eq!(*SEEN.lock().unwrap(), [(Some(7), here), (Some(7), here)]);
}

#[job]
async fn panics() {
    panic!("two and two is five");
}

#[tokio::test]
#[should_panic(
    expected = "failed to create a database for the test (its role needs the right: `alter role .. createdb`): "
)]
async fn a_role_that_may_not_create_databases_is_told_what_it_needs() {
    let db = TestDb::create_empty().await;
    // Roles are the server's, and so are there for other tests and for the next run.
    sqlx::raw_sql(
        "do $$ begin create role kit_without_createdb login;
         exception when duplicate_object or unique_violation then null; end $$",
    )
    .execute(db.pool())
    .await
    .unwrap();
    TestQueue::create_at(&db.url().replace("postgres@", "kit_without_createdb@")).await;
}

#[tokio::test]
#[should_panic(
    expected = "failed to run the test's jobs: the job registry can't be run: job `testing::robbed` needs a context"
)]
async fn a_registry_that_cannot_be_run_fails_the_test_with_its_reason_once() {
    let (_db, queue, _) = queue().await;
    queue.run_one(&JobRegistry::new(&[robbed])).await;
}

#[tokio::test]
#[should_panic(expected = "two and two is five")]
async fn an_assertion_in_a_job_fails_the_test() {
    let (_db, queue, _) = queue().await;
    let mut registry = JobRegistry::new(&[panics]);
    registry.set_error_handler(|_, _| {});
    panics.builder().spawn(queue.pool()).await.unwrap();
    queue.complete_all(&registry).await;
}

#[job]
async fn waits_for_ever(started: std::sync::Arc<tokio::sync::Notify>) {
    started.notify_one();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_drain_that_is_dropped_gives_its_job_back() {
    let (_db, queue, _) = queue().await;
    let started = std::sync::Arc::new(tokio::sync::Notify::new());
    let mut registry = JobRegistry::new(&[waits_for_ever]);
    registry.set_context(std::sync::Arc::clone(&started));
    waits_for_ever.builder().spawn(queue.pool()).await.unwrap();
    tokio::select! {
        _ = queue.drain(&registry) => panic!("it waits for ever"),
        () = started.notified() => {}
    }
    devpg::eventually("the job to be ready again", async || {
        let state: Option<String> = sqlx::query_scalar("select state from mq_counts() where jobs > 0")
            .fetch_optional(queue.pool())
            .await
            .map_err(|error| error.to_string())?;
        match state.as_deref() {
            Some("ready") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(
        sqlxmq::job_errors(queue.pool(), sqlxmq::testing::spawned(queue.pool()).await[0].id)
            .await
            .unwrap()
            .is_empty()
    );
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[job("blocks")]
async fn blocks() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[tokio::test]
async fn a_job_that_holds_its_thread_is_told_of_where_the_test_listens() {
    let (_db, queue, _) = queue().await;
    // For the other tests' threads: `tracing` asks whoever comes first to a span whether anybody wants it, and remembers.
    let everywhere = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    tracing::subscriber::set_global_default(everywhere).unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let listening = tracing::subscriber::set_default(subscriber);
    blocks.builder().spawn(queue.pool()).await.unwrap();
    assert_eq!(queue.complete_all(&JobRegistry::new(&[blocks])).await, 1);
    drop(listening);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("spawn_blocking"))
        .expect(&log);
    assert!(line.contains("job.name=blocks"), "{line}");
}

/// Runs the tests of `#[sqlx::test]` below in a process that has the `DATABASE_URL` they want.
#[tokio::test]
async fn the_database_of_a_sqlx_test_is_taken() {
    let db = TestDb::create_empty().await;
    let tests = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--test-threads=1", "sqlx_tests::"])
        .env("DATABASE_URL", db.url())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&tests.stdout);
    assert!(
        tests.status.success(),
        "{output}{}",
        String::from_utf8_lossy(&tests.stderr)
    );
    assert!(output.contains("2 passed"), "{output}");
}

mod sqlx_tests {
    use super::*;

    #[sqlx::test]
    #[ignore = "run by `the_database_of_a_sqlx_test_is_taken`"]
    async fn jobs_of_a_sqlx_test_are_run(pool: sqlx::PgPool) {
        let queue = TestQueue::of(&pool).await;
        child.builder(&"ada".to_owned()).spawn(&pool).await.unwrap();
        assert_spawned!(&pool, child, payload matches name if name == "ada");
        assert_eq!(queue.complete_all(&JobRegistry::new(&[child.named()])).await, 1);
    }

    #[sqlx::test(migrator = "MIGRATIONS")]
    #[ignore = "run by `the_database_of_a_sqlx_test_is_taken`"]
    async fn the_queue_is_there_after_the_applications_migrations(pool: sqlx::PgPool) -> sqlx::Result<()> {
        sqlx::query("insert into users (name) values ('ada')")
            .execute(&pool)
            .await?;
        let queue = TestQueue::of(&pool).await;
        assert!(queue.drain(&JobRegistry::new(&[parent])).await.is_empty());
        Ok(())
    }

    static MIGRATIONS: std::sync::LazyLock<sqlx::migrate::Migrator> = std::sync::LazyLock::new(|| {
        sqlx::migrate::Migrator::with_migrations(vec![sqlx::migrate::Migration::new(
            1,
            "users".into(),
            sqlx::migrate::MigrationType::Simple,
            sqlx::SqlStr::from_static("create table users (name text not null)"),
            false,
        )])
    });
}
