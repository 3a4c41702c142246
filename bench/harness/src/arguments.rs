//! The command line, the same for every program.

use clap::{Parser, Subcommand, ValueEnum};

/// One queue, one task.
#[derive(Parser)]
pub struct Arguments {
    #[command(subcommand)]
    pub task: Task,
}

/// What to do.
#[derive(Subcommand)]
pub enum Task {
    /// Install the queue in an empty database.
    Install(Options),
    /// Spawn `count` jobs and end.
    Spawn(Options),
    /// Run jobs until standard input is closed.
    Run(Options),
    /// Spawn and run jobs until standard input is closed.
    Churn(Options),
    /// Spawn one job after the other into an idle queue and tell how long each took to start.
    Latency(Options),
}

/// How to do it. A program reads what concerns it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The database.
    #[arg(long)]
    pub url: String,
    /// Jobs to spawn, or to be run by all processes together.
    #[arg(long, default_value_t = 0)]
    pub count: usize,
    /// Connections that spawn.
    #[arg(long, default_value_t = 1)]
    pub producers: usize,
    /// Jobs per spawn. One: by the function for one job.
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    /// Those who spawn at once share statements, if the queue has something for that.
    #[arg(long)]
    pub grouped: bool,
    /// Channels to spread the jobs over.
    #[arg(long, default_value_t = 1)]
    pub channels: usize,
    /// Bytes of JSON per job. None: no payload.
    #[arg(long, default_value_t = 0)]
    pub payload: usize,
    /// Delays the jobs by this many seconds.
    #[arg(long, default_value_t = 0)]
    pub delay: u64,
    /// Spawns ordered jobs.
    #[arg(long)]
    pub ordered: bool,
    /// Spawns into channels that no runner subscribes to.
    #[arg(long)]
    pub foreign: bool,
    /// Runs only the channels that are not foreign.
    #[arg(long)]
    pub subscribe: bool,
    /// Who completes the jobs.
    #[arg(long, value_enum, default_value_t)]
    pub completion: Completion,
    /// Jobs at a time. None: what is best for the queue.
    #[arg(long)]
    pub concurrency: Option<usize>,
    /// The payload says when it was spawned, and the end how long jobs took to start.
    #[arg(long)]
    pub stamp: bool,
    /// The queue is idle most of the time: what wakes it soonest, whatever that costs a busy one.
    #[arg(long)]
    pub idle: bool,
    /// Spawns that many jobs a second. None: as many as the limit of the backlog allows.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Waits with spawning while this many jobs wait.
    #[arg(long, default_value_t = 10_000)]
    pub backlog: usize,
}

/// Who completes the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Completion {
    /// The runner, when the function has returned.
    #[default]
    Runner,
    /// The job itself, which waits until that is durable.
    Explicit,
    /// The job itself, in a transaction that has inserted a row.
    Transaction,
}

impl Options {
    /// Refuses what takes channels, order or another completion than the runner's: peers that have something of the kind mean
    /// something else by it.
    ///
    /// # Errors
    ///
    /// With the reason.
    pub fn asks_for_plain_jobs(&self) -> Result<(), &'static str> {
        if self.ordered || self.foreign || self.subscribe || self.channels > 1 {
            return Err("it has no channels, or none that take turns");
        }
        if self.grouped {
            return Err("it has nothing that groups spawns");
        }
        match self.completion {
            Completion::Runner => Ok(()),
            _ => Err("its jobs are completed by its runner"),
        }
    }
}
