//! Ordered channels as a runner runs them: from completion to completion, and not for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use devpg::{TestDb, eventually};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Executor};
use sqlxmq_core::{CurrentJob, JobRunnerHandle, spawn_all};
use tokio::sync::mpsc;

use crate::runner_support::{given, runner};
use crate::support::queue;

const JOBS: usize = 300;

/// A queue that counts the turns that are given.
async fn counting_queue() -> TestDb {
    let db = queue().await;
    db.pool()
        .execute(
            "create table turns (at timestamptz default now());
             create function note() returns trigger language plpgsql as $$
             begin
               insert into turns default values;
               return null;
             end $$;
             create trigger note after insert on mq_ready for each row
               when (new.id is null and new.ids is null) execute function note()",
        )
        .await
        .unwrap();
    db
}

async fn count(db: &TestDb, what: &'static str) -> usize {
    let count: i64 = sqlx::query_scalar(what).fetch_one(db.pool()).await.unwrap();
    usize::try_from(count).unwrap()
}

async fn until_done(db: &TestDb, handle: &mut JobRunnerHandle) {
    eventually("all jobs to be done", async || {
        match count(db, "select count(*) from mq_jobs").await {
            0 => Ok(()),
            left => Err(format!("{left} jobs are left")),
        }
    })
    .await;
    handle.stop().await;
}

/// Spawns the jobs of an ordered channel, numbered, and then one that is not of it.
async fn spawn(db: &TestDb) {
    let numbers: Vec<String> = (0..=JOBS).map(|number| number.to_string()).collect();
    let mut jobs = Vec::new();
    for number in &numbers {
        let mut job = given();
        job.set_raw_bytes(number.as_bytes());
        if jobs.len() < JOBS {
            job.set_ordered(true).set_channel_args("busy");
        }
        jobs.push(job);
    }
    spawn_all(db.pool(), &jobs).await.unwrap();
}

/// Runs them and returns their numbers in the order in which they started.
async fn run(db: &TestDb, concurrency: usize) -> Vec<usize> {
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            let number = std::str::from_utf8(job.raw_bytes().unwrap_or_default())?;
            started.send(number.parse::<usize>()?)?;
            job.complete().await?;
            Ok(())
        }
    });
    spawn(db).await;
    let mut handle = options
        .set_concurrency(concurrency, concurrency)
        .run()
        .await
        .unwrap();
    until_done(db, &mut handle).await;
    let mut order = Vec::new();
    while let Ok(number) = has_started.try_recv() {
        order.push(number);
    }
    order
}

#[tokio::test]
async fn an_ordered_channel_goes_on_without_a_turn_for_each_job() {
    let db = counting_queue().await;
    let order = run(&db, 8).await;
    let ordered: Vec<usize> = order.into_iter().filter(|number| *number < JOBS).collect();
    assert!(ordered.iter().copied().eq(0..JOBS), "{ordered:?}");
    // One for sixteen, and more on a machine on which sixteen take long.
    let turns = count(&db, "select count(*) from turns").await;
    assert!(turns < JOBS / 2, "{turns} turns for {JOBS} jobs");
    assert!(turns > JOBS / 20, "{turns} turns for {JOBS} jobs");
}

#[tokio::test]
async fn an_ordered_channel_with_much_to_do_does_not_keep_its_place() {
    let db = queue().await;
    let order = run(&db, 1).await;
    let place = order.iter().position(|number| *number == JOBS);
    let place = place.expect("the job that is not of the channel");
    assert!(place <= 2 * 16, "it was the {place}th");
}

const CHANNELS: usize = 1200;
const EACH: usize = 12;

/// Runs as many ordered channels as make large flushes. Returns the numbers of each channel's jobs in the order in which they started, and
/// whether two connections that complete were seen.
async fn run_many(db: &TestDb, role: Option<&str>) -> (HashMap<String, Vec<usize>>, bool) {
    let started: Arc<Mutex<HashMap<String, Vec<usize>>>> = Arc::default();
    let noted = Arc::clone(&started);
    let (mut options, mut errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let noted = Arc::clone(&noted);
        async move {
            let number = std::str::from_utf8(job.raw_bytes().unwrap_or_default())?.parse()?;
            let channel = job.channel_args().to_owned();
            noted.lock().unwrap().entry(channel).or_default().push(number);
            job.complete().await?;
            Ok(())
        }
    });
    let channels: Vec<String> = (0..CHANNELS).map(|channel| channel.to_string()).collect();
    for number in 0..EACH {
        let number = number.to_string();
        let jobs: Vec<_> = channels
            .iter()
            .map(|channel| {
                let mut job = given();
                job.set_raw_bytes(number.as_bytes())
                    .set_ordered(true)
                    .set_channel_args(channel);
                job
            })
            .collect();
        spawn_all(db.pool(), &jobs).await.unwrap();
    }
    if let Some(role) = role {
        let own = PgConnectOptions::clone(&db.pool().connect_options()).username(role);
        options.set_connect_options(own);
    }
    let mut handle = options.set_concurrency(2000, 4000).run().await.unwrap();
    let mut has_two = false;
    eventually("all jobs to be done", async || {
        has_two |= count(
            db,
            "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'sqlxmq complete'",
        )
        .await
            == 2;
        match count(db, "select count(*) from mq_jobs").await {
            0 => Ok(()),
            left => Err(format!("{left} jobs are left")),
        }
    })
    .await;
    handle.stop().await;
    assert!(errors.try_recv().is_err(), "each attempt was completed");
    (std::mem::take(&mut started.lock().unwrap()), has_two)
}

fn assert_in_order(started: &HashMap<String, Vec<usize>>) {
    assert_eq!(started.len(), CHANNELS);
    for (channel, numbers) in started {
        assert!(numbers.iter().copied().eq(0..EACH), "{channel}: {numbers:?}");
    }
}

#[tokio::test]
async fn many_ordered_channels_are_completed_over_two_connections_each_in_its_order() {
    let db = queue().await;
    let (started, has_two) = run_many(&db, None).await;
    assert_in_order(&started);
    assert!(has_two, "there was one connection only");
    db.close().await;
}

#[tokio::test]
async fn many_ordered_channels_are_completed_over_one_connection_where_there_is_no_second() {
    let db = queue().await;
    let role = format!("five_{}", uuid::Uuid::new_v4().simple());
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create role {role} login connection limit 5; grant execute on all functions in schema public to {role}"
    )))
    .execute(db.pool())
    .await
    .unwrap();
    let (started, has_two) = run_many(&db, Some(&role)).await;
    assert_in_order(&started);
    assert!(!has_two);
    sqlx::raw_sql(AssertSqlSafe(format!("drop owned by {role}; drop role {role}")))
        .execute(db.pool())
        .await
        .unwrap();
    db.close().await;
}

#[tokio::test]
async fn completions_go_on_when_the_next_in_line_can_not_be_claimed_with_them() {
    let db = queue().await;
    db.pool()
        .execute("drop function mq_claim_next_in_line")
        .await
        .unwrap();
    let (options, mut errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        assert_eq!(job.attempt(), 1, "no attempt was used");
        job.complete().await?;
        Ok(())
    });
    for _ in 0..3 {
        given().set_ordered(true).spawn(db.pool()).await.unwrap();
    }
    let mut handle = options.run().await.unwrap();
    until_done(&db, &mut handle).await;
    assert!(errors.try_recv().is_err(), "each was completed without");
}
