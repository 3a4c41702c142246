//! Effects made in `complete_with_transaction` are there exactly once, whatever happens to the processes.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlxmq::{CompleteError, CurrentJob, JobRegistry, dead_jobs, job};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::process::{Given, Process, run_until_let_go};
use crate::support::{Dice, alone, beside_others, number, queue, run, until_some};

const JOBS: i64 = 10_000;
const CHANNELS: u64 = 100;
const SPAWNERS: i32 = 8;
const RUNNERS: i32 = 4;
const LEASE: Duration = Duration::from_secs(2);
/// Few enough for the jobs to last: 10,000 jobs of 27.5 ms in 4 runners of 2 take 34 s and more, so that there are 30 kills.
const JOBS_AT_ONCE: usize = 2;
const KILLS_THAT_HIT: i64 = 30;

/// No table has a unique constraint: nothing but the queue keeps an effect from being there twice.
const TABLES: &str = "
    create table acknowledged (job uuid not null, spawner integer not null);
    create table starts (job uuid not null, attempt integer not null, runner integer not null);
    create table effects (job uuid not null, attempt integer not null, runner integer not null)";

/// Which process runs a job.
#[derive(Clone, Copy)]
struct Runner(i32);

#[job(name = "shown.leave_an_effect", retries = 50)]
async fn leave_an_effect(mut job: CurrentJob, runner: Runner) -> anyhow::Result<()> {
    note(job.pool(), &job, runner).await?;
    let milliseconds = job.json()?.unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    let mut transaction = job.pool().begin().await?;
    leave(&mut transaction, &job, runner).await?;
    job.complete_with_transaction(transaction).await?;
    Ok(())
}

async fn note(pool: &PgPool, job: &CurrentJob, runner: Runner) -> sqlx::Result<()> {
    sqlx::query("insert into starts values ($1, $2, $3)")
        .bind(job.id())
        .bind(job.attempt().cast_signed())
        .bind(runner.0)
        .execute(pool)
        .await
        .map(drop)
}

async fn leave(connection: &mut sqlx::PgConnection, job: &CurrentJob, runner: Runner) -> sqlx::Result<()> {
    sqlx::query("insert into effects values ($1, $2, $3)")
        .bind(job.id())
        .bind(job.attempt().cast_signed())
        .bind(runner.0)
        .execute(connection)
        .await
        .map(drop)
}

/// Spawns its share of the jobs, and records those whose spawn returned.
pub async fn spawner(Given { pool, number }: Given) {
    let mut dice = Dice::of(number);
    let mut acknowledged: Vec<Uuid> = Vec::new();
    for _ in 0..JOBS / i64::from(SPAWNERS) {
        let id = leave_an_effect
            .builder()
            .set_channel_name("shown")
            .set_channel_args(&dice.below(CHANNELS).to_string())
            .set_json(&(5 + dice.below(46)))
            .expect("a payload")
            .spawn(&pool)
            .await
            .expect("a spawned job");
        acknowledged.push(id);
    }
    sqlx::query("insert into acknowledged select id, $2 from unnest($1) as id")
        .bind(&acknowledged)
        .bind(number)
        .execute(&pool)
        .await
        .expect("a record");
}

pub async fn runner(Given { pool, number }: Given) {
    let mut registry = JobRegistry::new(&[leave_an_effect]);
    registry.set_context(Runner(number));
    registry.set_error_handler(move |_, error| eprintln!("runner {number}: {error}"));
    let handle = registry
        .runner(&pool)
        .set_concurrency(JOBS_AT_ONCE, JOBS_AT_ONCE)
        .set_lease(LEASE)
        .run()
        .await
        .expect("a runner");
    run_until_let_go(handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_effect_is_there_exactly_once_while_a_runner_is_killed_each_second() {
    let _alone = alone().await;
    let db = queue().await;
    let pool = db.pool();
    run(pool, TABLES).await;
    let started = Instant::now();
    let mut spawners: Vec<Process> = (0..SPAWNERS)
        .map(|number| Process::start("exactly_once::spawner", &db, number))
        .collect();
    let mut runners: Vec<(i32, Process)> = Vec::new();
    let mut next_runner = 0;
    let mut start_runner = || {
        next_runner += 1;
        (
            next_runner,
            Process::start("exactly_once::runner", &db, next_runner),
        )
    };
    runners.extend((0..RUNNERS).map(|_| start_runner()));

    let mut killed: Vec<i32> = Vec::new();
    let mut dice = Dice::of(SPAWNERS);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;
    loop {
        seconds.tick().await;
        spawners.retain_mut(|spawner| !spawner.has_ended());
        let left = number(pool, "select count(*) from mq_jobs").await;
        if spawners.is_empty() && left == 0 {
            break;
        }
        let dead = dead_jobs(pool, 3, None).await.unwrap();
        assert!(dead.is_empty(), "{dead:?}");
        assert!(
            started.elapsed() < Duration::from_secs(170),
            "{left} jobs are left, {} runners were killed",
            killed.len()
        );
        let victim = usize::try_from(dice.below(4)).unwrap();
        let (number, process) = std::mem::replace(&mut runners[victim], start_runner());
        process.kill().await;
        killed.push(number);
    }
    let took = started.elapsed();
    for (_, runner) in runners {
        runner.stop().await;
    }

    let hits: i64 = sqlx::query_scalar(
        "select count(distinct s.runner) from starts as s
         where s.runner = any ($1)
           and not exists (select from effects as e where (e.job, e.attempt, e.runner) = (s.job, s.attempt, s.runner))",
    )
    .bind(&killed)
    .fetch_one(pool)
    .await
    .unwrap();
    let effects = number(pool, "select count(*) from effects").await;
    let twice = number(
        pool,
        "select count(*) from (select from effects group by job having count(*) > 1) as t",
    )
    .await;
    let lost = number(
        pool,
        "select count(*) from acknowledged as a where not exists (select from effects as e where e.job = a.job)",
    )
    .await;
    let acknowledged = number(pool, "select count(distinct job) from acknowledged").await;
    let starts = number(pool, "select count(*) from starts").await;
    println!(
        "{effects} effects of {acknowledged} jobs after {starts} starts in {took:.1?}; {} kills, {hits} of them hit running jobs",
        killed.len()
    );
    assert_eq!(twice, 0, "jobs with more than one effect");
    assert_eq!(lost, 0, "jobs without an effect");
    assert_eq!((acknowledged, effects), (JOBS, JOBS));
    assert!(hits >= KILLS_THAT_HIT, "only {hits} kills hit running jobs");
    db.close().await;
}

/// Makes its effect. The paused attempt completes while the other one runs, and the other one afterwards.
#[job(name = "shown.hesitate", retries = 3)]
async fn hesitate(mut job: CurrentJob, runner: Runner) -> anyhow::Result<()> {
    let mut transaction = job.pool().begin().await?;
    leave(&mut transaction, &job, runner).await?;
    note(job.pool(), &job, runner).await?;
    let word = match runner.0 {
        PAUSED => "select count(*) from starts where attempt = 2",
        _ => "select count(*) from outcomes",
    };
    // Not `eventually`: nobody could say that its future is `Send`.
    while number(job.pool(), word).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outcome = job.complete_with_transaction(transaction).await;
    sqlx::query("insert into outcomes values ($1, $2)")
        .bind(runner.0)
        .bind(match &outcome {
            Ok(()) => "completed".to_owned(),
            Err(CompleteError::LeaseLost { .. }) => "lease lost".to_owned(),
            Err(other) => other.to_string(),
        })
        .execute(job.pool())
        .await?;
    Ok(outcome?)
}

const PAUSED: i32 = 1;
const OTHER: i32 = 2;

fn hesitating(number: i32) -> JobRegistry {
    let mut registry = JobRegistry::new(&[hesitate]);
    registry.set_context(Runner(number));
    registry.set_error_handler(|_, _| {});
    registry
}

pub async fn paused(Given { pool, number }: Given) {
    let mut options = hesitating(number).runner(&pool);
    run_until_let_go(options.set_lease(LEASE).run().await.expect("a runner")).await;
}

#[tokio::test]
async fn a_process_that_was_paused_beyond_its_lease_commits_no_second_effect() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    run(pool, TABLES).await;
    run(
        pool,
        "create table outcomes (runner integer not null, outcome text not null)",
    )
    .await;
    let id = hesitate.builder().spawn(pool).await.unwrap();
    let process = Process::start("exactly_once::paused", &db, PAUSED);
    until_some(pool, "select count(*) from starts").await;
    process.signal("STOP").await;

    let mut options = hesitating(OTHER).runner(pool);
    let mut other = options.set_lease(LEASE).run().await.unwrap();
    until_some(pool, "select count(*) from starts where attempt = 2").await;
    process.signal("CONT").await;
    until_some(pool, "select count(*) from outcomes where runner = 2").await;
    process.stop().await;
    other.stop().await;
    let outcomes: Vec<(i32, String)> = sqlx::query_as("select * from outcomes order by runner")
        .fetch_all(pool)
        .await
        .unwrap();
    let expected = [(PAUSED, "lease lost".to_owned()), (OTHER, "completed".to_owned())];
    assert_eq!(outcomes, expected);
    let effects: Vec<(Uuid, i32, i32)> = sqlx::query_as("select * from effects")
        .fetch_all(pool)
        .await
        .unwrap();
    assert_eq!(effects, [(id, 2, OTHER)]);
    assert_eq!(number(pool, "select count(*) from mq_jobs").await, 0);
    db.close().await;
}
