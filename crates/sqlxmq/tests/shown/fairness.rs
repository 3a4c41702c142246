//! A channel with a large backlog does not hold up small ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sqlx::PgPool;
use sqlxmq::{CurrentJob, JobBuilder, JobRegistry, job, spawn_all};
use tokio::sync::Notify;

use crate::support::{alone, queue};

const BACKLOG: usize = 100_000;
/// The longest turn that a channel has: so many jobs that were spawned together.
const RUN: usize = 16;
/// How many jobs one statement spawns.
const AT_ONCE: usize = 5_000;

/// The channels of completed jobs, in order.
#[derive(Clone, Default)]
struct Completions(Arc<(Mutex<Vec<String>>, Notify)>);

impl Completions {
    fn add(&self, channel: String) {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(channel);
        self.0.1.notify_one();
    }

    async fn first(&self, jobs: usize) -> Vec<String> {
        loop {
            {
                let channels = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
                if channels.len() >= jobs {
                    return channels[..jobs].to_vec();
                }
            }
            self.0.1.notified().await;
        }
    }
}

#[job(name = "shown.take_a_turn")]
async fn take_a_turn(mut job: CurrentJob, completions: Completions) -> anyhow::Result<()> {
    job.complete().await?;
    completions.add(job.channel_args().to_owned());
    Ok(())
}

async fn spawn(pool: &PgPool, channels: impl Iterator<Item = &str>) {
    let jobs: Vec<JobBuilder<'_>> = channels
        .map(|channel| {
            let mut builder = take_a_turn.builder();
            builder.set_channel_name("shown").set_channel_args(channel);
            builder
        })
        .collect();
    for jobs in jobs.chunks(AT_ONCE) {
        spawn_all(pool, jobs).await.expect("spawned jobs");
    }
}

/// The first `jobs` completions of a runner that claims at most `max` jobs while fewer than `min` run.
async fn first_completions(pool: &PgPool, jobs: usize, (min, max): (usize, usize)) -> Vec<String> {
    let completions = Completions::default();
    let mut registry = JobRegistry::new(&[take_a_turn]);
    registry.set_context(completions.clone());
    let mut runner = registry
        .runner(pool)
        .set_concurrency(min, max)
        .run()
        .await
        .expect("a runner");
    let started = Instant::now();
    let channels = completions.first(jobs).await;
    println!("{jobs} jobs in {:.1?}", started.elapsed());
    runner.stop().await;
    channels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_channels_are_done_within_a_thousand_completions_whatever_the_backlog_of_another() {
    let _alone = alone().await;
    let db = queue().await;
    let small: Vec<String> = ('B'..='Z').map(String::from).collect();
    spawn(db.pool(), std::iter::repeat_n("A", BACKLOG)).await;
    spawn(
        db.pool(),
        small
            .iter()
            .flat_map(|channel| std::iter::repeat_n(&**channel, 10)),
    )
    .await;
    let channels = first_completions(db.pool(), 1000, (16, 32)).await;
    let last = channels
        .iter()
        .rposition(|channel| channel != "A")
        .expect("small channels");
    println!("B to Z are done after {} completions", last + 1);
    for channel in &small {
        assert_eq!(
            channels.iter().filter(|&done| done == channel).count(),
            10,
            "channel {channel}"
        );
    }
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_five_thousand_channels_has_its_turn_in_each_rotation_of_small_batches() {
    const CHANNELS: usize = 5_000;
    const BATCH: usize = 16;
    let _alone = alone().await;
    let db = queue().await;
    let small: Vec<String> = (1..CHANNELS).map(|channel| format!("small {channel}")).collect();
    spawn(db.pool(), std::iter::repeat_n("A", BACKLOG)).await;
    // One after the other in different orders, so that nothing depends on who came last.
    spawn(db.pool(), small.iter().map(|channel| &**channel)).await;
    spawn(db.pool(), small.iter().rev().map(|channel| &**channel)).await;
    let channels = first_completions(db.pool(), 2 * CHANNELS + RUN + BATCH, (1, BATCH)).await;
    for rotation in 1..=2 {
        let mut served: HashMap<&str, usize> = HashMap::new();
        // Jobs of one claim complete in any order.
        for channel in &channels[..rotation * CHANNELS + RUN + BATCH] {
            *served.entry(channel).or_default() += 1;
        }
        let unfair = small
            .iter()
            .find(|channel| served.get(&***channel) < Some(&rotation));
        assert_eq!(unfair, None, "has not had {rotation} turns");
        // A run, which it has in the first rotation, is as long as many of its turns. After the second, nobody else is left.
        assert!(served["A"] <= 2 * RUN + BATCH, "A had {} jobs", served["A"]);
    }
    db.close().await;
}
