//! What a program must be able to do.

use crate::{Handler, Options};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A queue, connected.
pub trait Queue: Send + Sync + Sized + 'static {
    /// A statement that returns whether any job is still being run: a run is over when every job has been handled and this
    /// returns false.
    const STILL_RUNNING: &'static str;

    /// Connects, with this many connections for spawns.
    fn connect(options: &Options) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Installs the queue in an empty database.
    fn install(&self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Spawns one job.
    fn spawn(&self, job: NewJob<'_>) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Spawns many jobs at once.
    fn spawn_all(&self, jobs: &[NewJob<'_>]) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Runs jobs until `stop`, calling `handler` for each.
    fn run(
        &self,
        options: &Options,
        handler: Handler,
        stop: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Refuses what the queue has not got, so that it is left out and not measured as something else.
    fn check(options: &Options) -> Result<(), &'static str>;
}

/// A job to be spawned.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// JSON.
    pub payload: Option<&'a str>,
    /// Which channel, from 0. Queues without channels ignore it when there is one.
    pub channel: &'a str,
    /// Whether the channel is one that no runner subscribes to.
    pub foreign: bool,
    /// Whether it is ordered within its channel.
    pub ordered: bool,
    /// How long to wait.
    pub delay: Duration,
}
