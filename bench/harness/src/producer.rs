//! Spawning jobs, from several tasks at once.

use crate::{Handler, NewJob, Options, Queue, handler::stamp};
use anyhow::Result;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often a producer looks whether the backlog has gone down.
const PAUSE: Duration = Duration::from_millis(1);

/// How many different payloads there are.
const PAYLOADS: u64 = 16;

/// Where the producers of a process stand.
pub struct Producer<Q> {
    queue: Arc<Q>,
    options: Options,
    /// Several, as jobs have in practice: what all jobs of a batch share may be sent once.
    payloads: Vec<String>,
    channels: Vec<String>,
    taken: AtomicUsize,
    spawned: AtomicUsize,
}

impl<Q: Queue> Producer<Q> {
    pub fn new(queue: Arc<Q>, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            queue,
            options: options.clone(),
            payloads: match options.payload {
                0 => Vec::new(),
                bytes => (1..=PAYLOADS).map(|seed| incompressible(bytes, seed)).collect(),
            },
            channels: (0..options.channels).map(|channel| channel.to_string()).collect(),
            taken: AtomicUsize::new(0),
            spawned: AtomicUsize::new(0),
        })
    }

    /// Spawns `count` jobs.
    pub async fn spawn_count(self: Arc<Self>) -> Result<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..self.options.producers {
            let this = Arc::clone(&self);
            tasks.spawn(async move {
                loop {
                    let from = this.taken.fetch_add(this.options.batch, Ordering::Relaxed);
                    if from >= this.options.count {
                        return anyhow::Ok(());
                    }
                    let until = this.options.count.min(from + this.options.batch);
                    this.spawn_batch(from, until - from).await?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Spawns jobs until `stop`: at a rate, or as fast as they are handled.
    pub async fn spawn_until(self: Arc<Self>, handler: Handler, stop: CancellationToken) -> Result<()> {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..self.options.producers {
            let (this, handler, stop) = (Arc::clone(&self), handler.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    let from = this.taken.fetch_add(this.options.batch, Ordering::Relaxed);
                    if let Some(rate) = this.options.rate {
                        let at = started + Duration::from_secs_f64(from as f64 / rate);
                        tokio::time::sleep_until(at.into()).await;
                    }
                    while from > handler.handled() + this.options.backlog && !stop.is_cancelled() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    this.spawn_batch(from, this.options.batch).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    pub fn spawned(&self) -> usize {
        self.spawned.load(Ordering::Relaxed)
    }

    async fn spawn_batch(&self, first: usize, length: usize) -> Result<()> {
        let stamp = self.options.stamp.then(stamp);
        let payload = |number: usize| {
            let payload = self.payloads.get(number % self.payloads.len().max(1));
            stamp.as_deref().or(payload.map(String::as_str))
        };
        let job = |number: usize| NewJob {
            payload: payload(number),
            channel: &self.channels[number % self.channels.len()],
            foreign: self.options.foreign,
            ordered: self.options.ordered,
            delay: Duration::from_secs(self.options.delay),
        };
        if self.options.batch == 1 {
            self.queue.spawn(job(first)).await?;
        } else {
            let jobs: Vec<_> = (first..first + length).map(job).collect();
            self.queue.spawn_all(&jobs).await?;
        }
        self.spawned.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }
}

/// A JSON string of this many bytes that TOAST can't make smaller.
fn incompressible(bytes: usize, seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
    let letters = std::iter::repeat_with(|| {
        // xorshift
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 58) as usize])
    });
    format!(
        "\"{}\"",
        letters.take(bytes.saturating_sub(2)).collect::<String>()
    )
}
