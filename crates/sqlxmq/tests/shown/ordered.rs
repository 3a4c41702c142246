//! Ordered jobs of a channel run one at a time and in the order of their spawns, whoever spawns, runs and fails.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlxmq::{CurrentJob, JobBuilder, JobRegistry, dead_jobs, job, spawn_all};
use uuid::Uuid;

use crate::process::{Given, Process, run_until_let_go};
use crate::support::{Dice, alone, number, queue, run};

const JOBS: i64 = 20_000;
const CHANNELS: u64 = 50;
const SPAWNERS: i32 = 8;
const RUNNERS: i32 = 4;
/// One attempt in 20 fails.
const FAILURES: u64 = 20;
/// One spawn in 20 is of that many jobs.
const BATCH: usize = 5;

/// Append-only. `line` counts the jobs that a spawner has put into a channel; times are the database's, in microseconds.
/// `others` are attempts in the channel that had begun and not ended, `line_done` the jobs of the same spawner in the channel
/// that were completed, both as the attempt saw them when it began.
const TABLES: &str = "
    create table spawns (
      job uuid not null, channel text not null, spawner integer not null, line bigint not null,
      begun_at bigint not null, returned_at bigint not null
    );
    create table starts (
      job uuid not null, attempt integer not null, channel text not null, spawner integer not null, line bigint not null,
      others bigint not null, line_done bigint not null, started_at bigint not null
    );
    create table ends (
      job uuid not null, attempt integer not null, channel text not null, spawner integer not null,
      completed boolean not null, ended_at bigint not null
    );
    create index on starts (channel);
    create index on ends (channel, spawner, completed);
    create function now_us() returns bigint language sql volatile
      return (extract(epoch from clock_timestamp()) * 1000000)::bigint";

#[derive(Serialize, Deserialize, Clone, Copy)]
struct Place {
    spawner: i32,
    line: i64,
}

/// Logs its start and its end. The end of a completed job is logged by the transaction that completes it, so that whoever starts
/// later sees it.
#[job(name = "shown.keep_order", ordered, retries = 1000, backoff_secs = 0.0)]
async fn keep_order(mut job: CurrentJob) -> anyhow::Result<()> {
    let place: Place = job.json()?.ok_or_else(|| anyhow::anyhow!("no place"))?;
    sqlx::query(
        "insert into starts
         select $1, $2, $3, $4, $5,
           (select count(*) from starts where channel = $3) - (select count(*) from ends where channel = $3),
           (select count(*) from ends where channel = $3 and spawner = $4 and completed), now_us()",
    )
    .bind(job.id())
    .bind(job.attempt().cast_signed())
    .bind(job.channel_args())
    .bind(place.spawner)
    .bind(place.line)
    .execute(job.pool())
    .await?;
    let chance = (job.id().as_u128() as u64).rotate_left(job.attempt() * 11) % (2 * FAILURES);
    if chance < 2 {
        log_end(&mut *job.pool().acquire().await?, &job, place, false).await?;
        match chance {
            0 => anyhow::bail!("bad luck"),
            // Dropped without being completed: has failed as well.
            _ => return Ok(()),
        }
    }
    let mut transaction = job.pool().begin().await?;
    log_end(&mut transaction, &job, place, true).await?;
    job.complete_with_transaction(transaction).await?;
    Ok(())
}

async fn log_end(
    connection: &mut sqlx::PgConnection,
    job: &CurrentJob,
    place: Place,
    completed: bool,
) -> sqlx::Result<()> {
    sqlx::query("insert into ends values ($1, $2, $3, $4, $5, now_us())")
        .bind(job.id())
        .bind(job.attempt().cast_signed())
        .bind(job.channel_args())
        .bind(place.spawner)
        .bind(completed)
        .execute(connection)
        .await
        .map(drop)
}

/// Spawns its share of the jobs, one after the other or a few at once, and records when each spawn began and returned.
pub async fn spawner(Given { pool, number }: Given) {
    let mut dice = Dice::of(number);
    let mut lines = [0; CHANNELS as usize];
    let mut left = usize::try_from(JOBS).unwrap() / usize::try_from(SPAWNERS).unwrap();
    let mut log: Vec<(Uuid, String, i64, i64, i64)> = Vec::new();
    let mut now = clock(&pool).await;
    while left > 0 {
        let channel = usize::try_from(dice.below(CHANNELS)).unwrap();
        let name = format!("channel {channel}");
        let jobs = if dice.below(20) == 0 { BATCH.min(left) } else { 1 };
        let mut builders: Vec<JobBuilder<'_>> = Vec::new();
        let first = lines[channel];
        for _ in 0..jobs {
            let place = Place {
                spawner: number,
                line: lines[channel],
            };
            lines[channel] += 1;
            let mut builder = keep_order.builder();
            builder
                .set_channel_name("ordered")
                .set_channel_args(&name)
                .set_json(&place)
                .expect("a payload");
            builders.push(builder);
        }
        // Each spawn begins after the last one has returned.
        let begun_at = now;
        let ids = match &*builders {
            [builder] => vec![builder.spawn(&pool).await.expect("a spawned job")],
            builders => spawn_all(&pool, builders).await.expect("spawned jobs"),
        };
        now = clock(&pool).await;
        for (line, id) in (first..).zip(ids) {
            log.push((id, name.clone(), line, begun_at, now));
        }
        left -= jobs;
    }
    let column = |index: fn(&(Uuid, String, i64, i64, i64)) -> i64| log.iter().map(index).collect::<Vec<_>>();
    sqlx::query(
        "insert into spawns select job, channel, $6, line, begun_at, returned_at
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
           as t (job, channel, line, begun_at, returned_at)",
    )
    .bind(log.iter().map(|spawn| spawn.0).collect::<Vec<_>>())
    .bind(log.iter().map(|spawn| spawn.1.clone()).collect::<Vec<_>>())
    .bind(column(|spawn| spawn.2))
    .bind(column(|spawn| spawn.3))
    .bind(column(|spawn| spawn.4))
    .bind(number)
    .execute(&pool)
    .await
    .expect("a record");
}

async fn clock(pool: &PgPool) -> i64 {
    number(pool, "select now_us()").await
}

pub async fn runner(Given { pool, number }: Given) {
    let mut registry = JobRegistry::new(&[keep_order]);
    registry.set_error_handler(move |_, error| {
        let text = error.to_string();
        if text != "bad luck" && !error.is::<sqlxmq::JobDropped>() {
            eprintln!("runner {number}: {text}");
        }
    });
    let handle = registry
        .runner(&pool)
        .set_concurrency(8, 16)
        .run()
        .await
        .expect("a runner");
    run_until_let_go(handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_jobs_run_one_at_a_time_and_in_order_with_many_spawners_runners_and_failures() {
    let _alone = alone().await;
    let db = queue().await;
    let pool = db.pool();
    run(pool, TABLES).await;
    let started = Instant::now();
    let mut spawners: Vec<Process> = (0..SPAWNERS)
        .map(|number| Process::start("ordered::spawner", &db, number))
        .collect();
    let runners: Vec<Process> = (0..RUNNERS)
        .map(|number| Process::start("ordered::runner", &db, number))
        .collect();
    let mut pause = tokio::time::interval(Duration::from_millis(200));
    loop {
        pause.tick().await;
        // A failed spawn is a spawner that ended badly.
        spawners.retain_mut(|spawner| !spawner.has_ended());
        let left = number(pool, "select count(*) from mq_jobs").await;
        if spawners.is_empty() && left == 0 {
            break;
        }
        let dead = dead_jobs(pool, 3, None).await.unwrap();
        assert!(dead.is_empty(), "{dead:?}");
        assert!(
            started.elapsed() < Duration::from_secs(170),
            "{left} jobs are left"
        );
    }
    let took = started.elapsed();
    for runner in runners {
        runner.stop().await;
    }

    run(pool, "analyze spawns, starts, ends").await;
    let spawned = number(pool, "select count(*) from spawns").await;
    let completed = number(pool, "select count(*) from ends where completed").await;
    let failed = number(pool, "select count(*) from ends where not completed").await;
    // What a job saw in the database when it began: exact, whatever the clocks.
    let seen_overlaps = number(pool, "select count(*) from starts where others <> 0").await;
    let seen_inversions = number(pool, "select count(*) from starts where line_done <> line").await;
    // Among all spawners, by the database's clock.
    let overlaps = number(
        pool,
        "select count(*) from (
           select s.started_at < max(e.ended_at) over (
             partition by s.channel order by s.started_at rows between unbounded preceding and 1 preceding
           ) as early
           from starts as s left join ends as e on (e.job, e.attempt) = (s.job, s.attempt)
         ) as t
         where early",
    )
    .await;
    let inversions = number(
        pool,
        "with jobs as materialized (
           select s.channel, s.begun_at, s.returned_at, f.started_at, e.ended_at
           from spawns as s
           join (select job, min(started_at) as started_at from starts group by job) as f using (job)
           join (select job, max(ended_at) as ended_at from ends group by job) as e using (job)
         )
         -- All spawns of a channel by time, each as it begins and as it returns: the latest end of those that had returned before.
         select count(*) from (
           select t.started_at < max(t.ended_at) over (partition by t.channel order by t.at, t.is_return) as early
           from (
             select channel, begun_at as at, false as is_return, started_at, null as ended_at from jobs
             union all select channel, returned_at, true, null, ended_at from jobs
           ) as t
         ) as t
         where early",
    )
    .await;
    println!(
        "{completed} of {spawned} jobs completed, {failed} attempts failed, in {took:.1?}: {inversions} + {seen_inversions} \
         inversions, {overlaps} + {seen_overlaps} overlaps"
    );
    assert_eq!((spawned, completed), (JOBS, JOBS));
    assert!(failed > JOBS / 40, "only {failed} attempts failed");
    assert_eq!((seen_inversions, inversions), (0, 0), "inversions");
    assert_eq!((seen_overlaps, overlaps), (0, 0), "overlaps");
    db.close().await;
}
