//! A spawner process: spawns jobs of all kinds as fast as they are done, until it is let go or killed.

use super::acks::{Acks, Spawn};
use super::dice::Dice;
use super::kind::Kind;
use super::worker::{Task, input_ends, job_of, patiently, pool};
use anyhow::Result;
use sqlx::{PgPool, types::Uuid};
use sqlxmq::{CommitError, JobBuilder, SpawnError, commit};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// Spawns at a time, of one process.
const TASKS: u64 = 2;
/// Spawners wait while more jobs than this are there, of all spawners together.
const BACKLOG: i64 = 300;
/// Ordered jobs run one at a time, so fewer of them may wait.
const ORDERED_BACKLOG: i64 = 60;
/// How old a look at the backlog may be.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const ORDERED_CHANNELS: u64 = 12;
const CHANNELS: u64 = 20;
/// Long enough to commit in, short enough not to hold up a channel for the rest of the run.
const COMMIT_INTERVAL_MS: u64 = 3000;

/// The arguments of a process that this program starts.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the database is.
    #[arg(long)]
    url: String,
    /// The file of acknowledgements.
    #[arg(long)]
    acks: PathBuf,
    /// What the dice are thrown from.
    #[arg(long)]
    seed: u64,
}

/// Spawns until standard input ends.
pub fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let pool = pool(&arguments.url, 4)?;
        let acks = Arc::new(Mutex::new(Acks::create(&arguments.acks)?));
        let stop = tokio_util::sync::CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut spawners = Vec::new();
        for number in 0..TASKS {
            let spawner = Spawner {
                pool: pool.clone(),
                acks: Arc::clone(&acks),
                dice: Dice::new(arguments.seed, number),
                backlog: (0, 0),
                looked_at: None,
            };
            spawners.push(tasks.spawn(spawner.run(stop.clone())));
        }
        input_ends().await;
        stop.cancel();
        for spawner in spawners {
            spawner.await??;
        }
        Ok(())
    });
    runtime.shutdown_background();
    ended
}

struct Spawner {
    pool: PgPool,
    acks: Arc<Mutex<Acks>>,
    dice: Dice,
    /// Jobs, and ordered jobs.
    backlog: (i64, i64),
    looked_at: Option<Instant>,
}

impl Spawner {
    async fn run(mut self, stop: tokio_util::sync::CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            if self.looked_at.is_none_or(|at| at.elapsed() > LOOK_EVERY) {
                match patiently(backlog(&self.pool)).await {
                    Ok(backlog) => (self.backlog, self.looked_at) = (backlog, Some(Instant::now())),
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                }
            }
            if self.backlog.0 >= BACKLOG {
                tokio::time::sleep(LOOK_EVERY / 2).await;
                continue;
            }
            self.spawn_one().await?;
        }
        Ok(())
    }

    async fn spawn_one(&mut self) -> Result<()> {
        let spawn = self.invent();
        let id = Uuid::now_v7();
        self.note(|acks| acks.spawns(id, &spawn))?;
        match self.send(id, &spawn).await {
            Ok(true) => self.note(|acks| acks.spawned(id))?,
            Ok(false) => return self.note(|acks| acks.not_spawned(id)),
            // Nobody was told: it may be there or not.
            Err(_) => return Ok(()),
        }
        // Some are left to expire.
        if spawn.interval_ms == 0 || self.dice.percent(15) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(self.dice.below(400))).await;
        self.note(|acks| acks.commits(id))?;
        match tokio::time::timeout(Duration::from_secs(5), commit(&self.pool, &[id])).await {
            Ok(Ok(())) => self.note(|acks| acks.committed(id)),
            Ok(Err(CommitError::Expired { .. })) => self.note(|acks| acks.not_committed(id)),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    fn invent(&mut self) -> Spawn {
        let dice = &mut self.dice;
        let ordered = self.backlog.1 < ORDERED_BACKLOG && dice.percent(30);
        let kind = match dice.one_of(&Kind::MIX) {
            // One that takes longer than a lease holds up its channel for as long.
            Kind::Slow if ordered && dice.percent(80) => Kind::Plain,
            kind => kind,
        };
        Spawn {
            kind,
            ordered_in: ordered.then(|| dice.below(ORDERED_CHANNELS)),
            delay_ms: if dice.percent(8) {
                200 + dice.below(1800)
            } else {
                0
            },
            interval_ms: if dice.percent(8) { COMMIT_INTERVAL_MS } else { 0 },
            is_noted: dice.percent(50),
        }
    }

    /// Whether it was spawned. An error: nobody knows.
    async fn send(&mut self, id: Uuid, spawn: &Spawn) -> Result<bool> {
        let work_ms = match spawn.kind {
            Kind::Slow => 2500 + self.dice.below(1500),
            _ => 20 + self.dice.below(200),
        };
        let task = Task {
            kind: spawn.kind,
            work_ms,
            steps_done: 0,
        };
        let channel_args = match spawn.ordered_in {
            Some(channel) => format!("ordered {channel}"),
            None => self.dice.below(CHANNELS).to_string(),
        };
        let mut builder: JobBuilder<'_> = job_of(spawn.kind).builder_with_id(id);
        builder
            .set_channel_name("chaos")
            .set_channel_args(&channel_args)
            .set_ordered(spawn.ordered_in.is_some())
            .set_retries(spawn.kind.retries())
            .set_retry_backoff(Duration::from_millis(100))
            .set_max_backoff(Duration::from_millis(500))
            .set_delay(Duration::from_millis(spawn.delay_ms))
            .set_commit_interval((spawn.interval_ms > 0).then_some(Duration::from_millis(spawn.interval_ms)))
            .set_json(&task)?;
        if !spawn.is_noted {
            return patiently(async {
                match builder.spawn(&self.pool).await {
                    Ok(_) => Ok(true),
                    Err(SpawnError::Invalid { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await;
        }
        let gives_up = self.dice.percent(5);
        // Until the commit is sent, nothing can have happened.
        let begun = patiently(async {
            let mut transaction = self.pool.begin().await?;
            super::ledger::note_spawn(&mut transaction, id).await?;
            builder.spawn(&mut *transaction).await?;
            anyhow::Ok(transaction)
        });
        let Ok(transaction) = begun.await else {
            return Ok(false);
        };
        match gives_up {
            true => patiently(transaction.rollback())
                .await
                .map(|()| false)
                .or(Ok(false)),
            false => patiently(transaction.commit()).await.map(|()| true),
        }
    }

    fn note(&self, event: impl FnOnce(&mut Acks) -> Result<()>) -> Result<()> {
        event(&mut self.acks.lock().expect("nobody panics while writing"))
    }
}

/// Jobs that are not dead, and those of them that are ordered.
async fn backlog(pool: &PgPool) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "select (select count(*) from mq_jobs) - (select count(*) from mq_dead), (select count(*) from mq_line)",
    )
    .fetch_one(pool)
    .await
}
