//! The spawner: what tasks that spawn at once share, and what they must not.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use devpg::eventually;
use faults::{Fault, Proxy};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool, Postgres, Transaction};
use sqlxmq_core::{InvalidJob, JobBuilder, SpawnError, Spawner, exists};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{job, nowhere, queue, states};

type Outcome = Result<Uuid, SpawnError>;

/// Spawns jobs at once, each by a task of its own; returns the outcomes in the order of the jobs.
async fn spawn_at_once(spawner: &Spawner, jobs: Vec<JobBuilder<'static>>) -> Vec<Outcome> {
    let tasks: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let spawner = spawner.clone();
            let mut task = JoinSet::new();
            task.spawn(async move { spawner.spawn(&job).await });
            task
        })
        .collect();
    let mut outcomes = Vec::new();
    for mut task in tasks {
        outcomes.push(task.join_next().await.expect("a task").expect("no panic"));
    }
    outcomes
}

/// Returns in how many transactions all jobs were stored.
async fn transactions(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(distinct xmin::text) from mq_jobs")
        .fetch_one(pool)
        .await
        .expect("a count")
}

/// Returns the ordered jobs of a channel in their order.
async fn in_line(pool: &PgPool, channel: &str) -> Vec<Uuid> {
    sqlx::query_scalar(
        "select l.id from mq_line as l join mq_jobs as j on j.id = l.id where j.channel_args = $1 order by l.number",
    )
    .bind(channel)
    .fetch_all(pool)
    .await
    .expect("the line")
}

/// Keeps flushes from getting through until it ends.
async fn block(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut blocker = pool.begin().await.expect("a transaction");
    blocker
        .execute("lock table mq_jobs in access exclusive mode")
        .await
        .expect("a lock");
    blocker
}

/// Waits until a flush is on its way, and held up.
async fn until_held_up(pool: &PgPool) {
    eventually("a flush to wait", async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks as l join pg_database as d on d.oid = l.database
             where not l.granted and d.datname = current_database()",
        )
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())?;
        (waiting == 1)
            .then_some(())
            .ok_or_else(|| format!("{waiting} waiting"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_spawn_at_once_share_statements_and_each_gets_its_id() {
    let db = queue().await;
    let spawner = Spawner::new(db.pool());
    let mut tasks = JoinSet::new();
    for task in 0..32_u32 {
        let spawner = spawner.clone();
        tasks.spawn(async move {
            let mut spawned = Vec::new();
            for number in 0..20_u32 {
                let name = format!("{task} {number}");
                let builder = job(&name);
                let id = spawner.spawn(&builder).await.unwrap();
                assert_eq!(id, builder.as_ref().id());
                spawned.push((id, name));
            }
            spawned
        });
    }
    let mut spawned = tasks.join_all().await.concat();
    let mut stored: Vec<(Uuid, String)> = sqlx::query_as("select id, name from mq_jobs")
        .fetch_all(db.pool())
        .await
        .unwrap();
    spawned.sort();
    stored.sort();
    assert_eq!(stored, spawned);
    let transactions = transactions(db.pool()).await;
    assert!(transactions <= 640 / 4, "{transactions} transactions of 640 jobs");
    db.close().await;
}

#[tokio::test]
async fn jobs_of_every_kind_are_stored_as_a_spawn_with_the_pool_stores_them() {
    let db = queue().await;
    let spawner = Spawner::new(db.pool());
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let mut held = job("held");
        held.set_commit_interval(Some(Duration::from_secs(60)));
        let mut delayed = job("delayed");
        delayed.set_delay(Duration::from_secs(60));
        let mut timed = job("timed");
        timed.set_time(std::time::SystemTime::now() + Duration::from_secs(60));
        let mut full = job("full");
        full.set_channel_name("name")
            .set_channel_args("args")
            .set_ordered(true)
            .set_retries(7)
            .set_retry_backoff(Duration::from_secs(2))
            .set_max_backoff(Duration::from_secs(3))
            .set_raw_json(" {\"b\":1, \"b\":1e400}\n")
            .set_raw_bytes(b"\0\xff");
        jobs.extend([held, delayed, timed, full]);
    }
    let alone = jobs.split_off(4);
    let outcomes = spawn_at_once(&spawner, jobs).await;
    let ids: Vec<Uuid> = outcomes.into_iter().map(Result::unwrap).collect();
    for (builder, id) in alone.iter().zip(&ids) {
        let expected = builder.spawn(db.pool()).await.unwrap();
        assert_eq!(states(db.pool(), *id).await, states(db.pool(), expected).await);
        let columns: i64 = sqlx::query_scalar(
            "select count(distinct (name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, payload_json,
               payload_bytes)) from mq_jobs where id in ($1, $2)",
        )
        .bind(id)
        .bind(expected)
        .fetch_one(db.pool())
        .await
        .unwrap();
        assert_eq!(columns, 1, "{builder:?}");
    }
    db.close().await;
}

#[tokio::test]
async fn whoever_spawns_alone_does_not_wait_for_company() {
    let db = queue().await;
    let spawner = Spawner::new(db.pool());
    let (mut with_pool, mut with_spawner) = (Vec::new(), Vec::new());
    for _ in 0..31 {
        let started = Instant::now();
        job("alone").spawn(db.pool()).await.unwrap();
        with_pool.push(started.elapsed());
        let started = Instant::now();
        spawner.spawn(job("alone")).await.unwrap();
        with_spawner.push(started.elapsed());
    }
    with_pool.sort();
    with_spawner.sort();
    let (with_pool, with_spawner) = (with_pool[15], with_spawner[15]);
    assert!(
        with_spawner < with_pool * 3 + Duration::from_millis(4),
        "{with_spawner:?} and {with_pool:?}"
    );
    db.close().await;
}

#[tokio::test]
async fn a_spawner_uses_one_connection_while_it_flushes_and_nothing_while_it_is_idle() {
    let db = queue().await;
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .connect(db.url())
        .await
        .unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let tasks_before = tasks();
    let spawner = Spawner::new(&pool);
    let blocker = block(db.pool()).await;
    let first = tokio::join!(spawn_at_once(&spawner, vec![job("first")]), async {
        until_held_up(db.pool()).await;
        let (outcomes, ()) = tokio::join!(
            spawn_at_once(&spawner, (0..50).map(|_| job("next")).collect()),
            async {
                // All of them have been asked for when this is polled again.
                tokio::task::yield_now().await;
                assert_eq!(pool.size() as usize - pool.num_idle(), 1);
                blocker.rollback().await.unwrap();
            }
        );
        outcomes
    });
    for outcome in first.0.into_iter().chain(first.1) {
        outcome.unwrap();
    }
    assert_eq!(transactions(db.pool()).await, 2);
    eventually("nothing to be left", async || {
        let (used, tasks) = (pool.size() as usize - pool.num_idle(), tasks());
        // What the pool itself does in the background ends as well.
        (used == 0 && tasks <= tasks_before)
            .then_some(())
            .ok_or_else(|| format!("{used} connections, {tasks} tasks, {tasks_before} before"))
    })
    .await;
    pool.close().await;
    db.close().await;
}

#[tokio::test]
async fn the_order_of_spawns_is_kept_for_each_task_and_within_a_flush() {
    let db = queue().await;
    let spawner = Spawner::new(db.pool());
    let step = |channel: &'static str| {
        let mut builder = JobBuilder::new_with_id(Uuid::new_v4(), "step");
        builder.set_channel_args(channel).set_ordered(true);
        builder
    };
    let mut tasks = JoinSet::new();
    for channel in ["a", "b", "c", "d"] {
        let (spawner, jobs) = (spawner.clone(), [(); 10].map(|()| step(channel)));
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for job in &jobs {
                ids.push(spawner.spawn(job).await.unwrap());
            }
            (channel, ids)
        });
    }
    for (channel, ids) in tasks.join_all().await {
        assert_eq!(in_line(db.pool(), channel).await, ids, "{channel}");
    }
    let outcomes = spawn_at_once(&spawner, (0..50).map(|_| step("together")).collect()).await;
    let ids: Vec<Uuid> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(in_line(db.pool(), "together").await, ids);
    db.close().await;
}

#[tokio::test]
async fn a_job_out_of_bounds_is_refused_before_anything_is_sent() {
    let spawner = Spawner::new(&nowhere());
    let outcome = spawner.spawn(job("")).await;
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
}

#[tokio::test]
async fn an_id_that_is_taken_is_an_error_of_its_own_caller_alone() {
    let db = queue().await;
    let taken = job("taken").spawn(db.pool()).await.unwrap();
    let spawner = Spawner::new(db.pool());
    let twice = Uuid::now_v7();
    let jobs = vec![
        job("before"),
        JobBuilder::new_with_id(taken, "again"),
        JobBuilder::new_with_id(twice, "earlier"),
        job("between"),
        JobBuilder::new_with_id(twice, "later"),
        job("after"),
    ];
    let outcomes = spawn_at_once(&spawner, jobs).await;
    for (place, outcome) in outcomes.into_iter().enumerate() {
        match (place, outcome) {
            (1, Err(SpawnError::DuplicateId { ids })) => assert_eq!(ids, [taken]),
            (4, Err(SpawnError::DuplicateId { ids })) => assert_eq!(ids, [twice]),
            (0 | 2 | 3 | 5, Ok(id)) => assert_eq!(states(db.pool(), id).await, ["ready"]),
            (_, other) => panic!("{place}: {other:?}"),
        }
    }
    let name: String = sqlx::query_scalar("select name from mq_jobs where id = $1")
        .bind(twice)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(name, "earlier");
    db.close().await;
}

#[tokio::test]
async fn what_the_database_refuses_is_an_error_of_its_own_caller_alone() {
    let db = queue().await;
    db.pool()
        .execute(
            "create function refuse() returns trigger language plpgsql as
               $$ begin raise exception 'not %', new.name using errcode = 'check_violation'; end $$;
             create trigger refuse before insert on mq_jobs for each row when (new.name like 'bad%') execute function refuse()",
        )
        .await
        .unwrap();
    let spawner = Spawner::new(db.pool());
    let jobs = (0..40).map(|place| {
        let mut job = job(if place % 17 == 3 { "bad" } else { "good" });
        job.set_channel_args("line").set_ordered(true);
        job
    });
    let mut good = Vec::new();
    let outcomes = spawn_at_once(&spawner, jobs.collect()).await;
    for (place, outcome) in outcomes.into_iter().enumerate() {
        match (place % 17 == 3, outcome) {
            (false, Ok(id)) => good.push(id),
            (true, Err(error @ SpawnError::Store { .. })) => {
                let shown = format!("{error:?}");
                assert!(shown.starts_with("failed to store job `bad`: "), "{shown}");
                assert!(
                    shown.contains("not bad") && shown.contains("SQLSTATE 23514"),
                    "{shown}"
                );
                assert!(!error.is_transient());
            }
            (_, other) => panic!("{place}: {other:?}"),
        }
    }
    assert_eq!(in_line(db.pool(), "line").await, good);
    db.close().await;
}

#[tokio::test]
async fn a_future_that_is_dropped_disturbs_nobody() {
    let db = queue().await;
    let spawner = Spawner::new(db.pool());
    let blocker = block(db.pool()).await;
    let jobs = ["first", "second", "third"].map(job);
    let ids = jobs.each_ref().map(|job| job.as_ref().id());
    let mut tasks = Vec::new();
    for job in jobs {
        let spawner = spawner.clone();
        let mut task = JoinSet::new();
        task.spawn(async move { spawner.spawn(&job).await });
        tasks.push(task);
        // The flush is that of the first, and the others gather.
        until_held_up(db.pool()).await;
    }
    tasks[0].shutdown().await;
    tasks[1].shutdown().await;
    blocker.rollback().await.unwrap();
    let third = tasks[2].join_next().await.expect("a task").expect("no panic");
    assert_eq!(third.unwrap(), ids[2]);
    // What was sent is stored, what was not is not.
    assert!(exists(db.pool(), ids[0]).await.unwrap());
    assert!(!exists(db.pool(), ids[1]).await.unwrap());
    db.close().await;
}

#[tokio::test]
async fn a_closed_pool_is_an_error_of_every_caller() {
    let db = queue().await;
    let pool = PgPoolOptions::new().connect(db.url()).await.unwrap();
    let spawner = Spawner::new(&pool);
    pool.close().await;
    let outcomes = spawn_at_once(&spawner, (0..20).map(|_| job("late")).collect()).await;
    assert_eq!(outcomes.len(), 20);
    for outcome in outcomes {
        assert!(
            matches!(
                &outcome,
                Err(SpawnError::Store {
                    count: 1,
                    source: sqlx::Error::PoolClosed,
                    ..
                })
            ),
            "{outcome:?}"
        );
    }
    db.close().await;
}

#[tokio::test]
async fn a_timeout_and_a_missing_schema_are_errors_of_every_caller() {
    let db = queue().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(db.url())
        .await
        .unwrap();
    let spawner = Spawner::new(&pool);
    pool.execute("set statement_timeout = '50ms'").await.unwrap();
    let blocker = block(db.pool()).await;
    let started = Instant::now();
    let late: Vec<_> = (0..100).map(|_| job("late")).collect();
    for outcome in spawn_at_once(&spawner, late).await {
        assert!(
            matches!(&outcome, Err(error @ SpawnError::Store { .. }) if error.is_transient()),
            "{outcome:?}"
        );
    }
    assert!(started.elapsed() < Duration::from_millis(50 * 50), "one by one");
    blocker.rollback().await.unwrap();
    pool.execute("set statement_timeout = 0; set search_path = pg_catalog")
        .await
        .unwrap();
    let lost: Vec<_> = (0..3).map(|_| job("lost")).collect();
    for outcome in spawn_at_once(&spawner, lost).await {
        assert!(
            matches!(&outcome, Err(SpawnError::SchemaMissing { .. })),
            "{outcome:?}"
        );
    }
    pool.close().await;
    db.close().await;
}

#[tokio::test]
async fn a_lost_connection_is_a_transient_error_of_every_caller_and_nothing_is_sent_again() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let pool = PgPoolOptions::new().connect(&proxy.url(db.url())).await.unwrap();
    let spawner = Spawner::new(&pool);
    for (fault, is_there) in [(Fault::AnswerLost, true), (Fault::Lost, false)] {
        let jobs: Vec<_> = (0..10).map(|_| job("unanswered")).collect();
        proxy.on_next("mq_spawn_all(", fault);
        for outcome in spawn_at_once(&spawner, jobs.clone()).await {
            assert!(
                matches!(&outcome, Err(error @ SpawnError::Store { .. }) if error.is_transient()),
                "{outcome:?}"
            );
        }
        for job in &jobs {
            assert_eq!(exists(db.pool(), job.as_ref().id()).await.unwrap(), is_there);
        }
        // With the same ids whoever calls again is told.
        for outcome in spawn_at_once(&spawner, jobs).await {
            match is_there {
                true => assert!(
                    matches!(&outcome, Err(SpawnError::DuplicateId { .. })),
                    "{outcome:?}"
                ),
                false => drop(outcome.unwrap()),
            }
        }
    }
    pool.close().await;
    db.close().await;
}

#[tokio::test]
async fn a_silent_connection_holds_up_the_others_for_fifteen_seconds_at_most() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&proxy.url(db.url()))
        .await
        .unwrap();
    let spawner = Spawner::new(&pool);
    proxy.on_next("mq_spawn_one(", Fault::Silent);
    let started = Instant::now();
    let both = async {
        tokio::join!(spawner.spawn(job("silent")), async {
            assert!(proxy.has_met(1, Duration::from_secs(10)).await);
            spawner.spawn(job("next")).await
        })
    };
    let (silent, next) = tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("an answer");
    assert!(
        matches!(&silent, Err(error @ SpawnError::Store { .. }) if error.is_transient()),
        "{silent:?}"
    );
    next.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    db.close().await;
}

#[tokio::test]
async fn a_panic_in_a_hook_of_the_pool_strands_nobody() {
    let db = queue().await;
    let panics = Arc::new(AtomicBool::new(false));
    let hook = Arc::clone(&panics);
    let pool = PgPoolOptions::new()
        .before_acquire(move |_, _| {
            assert!(!hook.swap(false, Ordering::Relaxed), "a panic of the user's");
            Box::pin(async { Ok(true) })
        })
        .connect(db.url())
        .await
        .unwrap();
    let spawner = Spawner::new(&pool);
    panics.store(true, Ordering::Relaxed);
    // The last of them, of an id that is there already, is left for the flush after the one that panics.
    let one = job("one");
    let mut outcomes = spawn_at_once(&spawner, vec![one.clone(), job("two"), one]).await;
    outcomes.pop().expect("three outcomes").unwrap();
    for outcome in outcomes {
        assert!(
            matches!(
                &outcome,
                Err(SpawnError::Store {
                    source: sqlx::Error::WorkerCrashed,
                    ..
                })
            ),
            "{outcome:?}"
        );
    }
    spawner.spawn(job("next")).await.unwrap();
    pool.close().await;
    db.close().await;
}

#[tokio::test]
async fn a_runtime_that_goes_strands_nobody_in_another() {
    let db = queue().await;
    let pool = PgPoolOptions::new().connect(db.url()).await.unwrap();
    let spawner = Spawner::new(&pool);
    let blocker = block(db.pool()).await;
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let first = spawner.clone();
    let mut callers = JoinSet::new();
    callers.spawn_on(async move { first.spawn(job("first")).await }, other.handle());
    until_held_up(db.pool()).await;
    let second = tokio::time::timeout(Duration::from_secs(20), async {
        let spawning = spawner.spawn(job("second"));
        // The second has been asked for when the runtime goes.
        tokio::join!(spawning, async { other.shutdown_background() }).0
    })
    .await
    .expect("an answer");
    assert!(
        matches!(&second, Err(error @ SpawnError::Store { .. }) if error.is_transient()),
        "{second:?}"
    );
    blocker.rollback().await.unwrap();
    spawner.spawn(job("third")).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_spawn_outside_of_a_runtime_panics_and_strands_nobody() {
    let db = queue().await;
    let spawner = Spawner::new(db.pool());
    let outside = spawner.clone();
    let outcome = std::thread::spawn(move || {
        catch_unwind(AssertUnwindSafe(|| {
            let mut spawning = pin!(outside.spawn(job("outside")));
            spawning
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        }))
    });
    assert!(outcome.join().unwrap().is_err());
    spawner.spawn(job("inside")).await.unwrap();
    assert_eq!(transactions(db.pool()).await, 1);
    db.close().await;
}
