//! The tasks.

use crate::{
    Handler, NewJob, Options, Queue,
    arguments::{Arguments, Task},
    producer::Producer,
    protocol::{self, Caller},
};
use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the caller is told of the jobs that have started.
const PROGRESS: Duration = Duration::from_millis(5);
/// Between two jobs of [`Task::Latency`]: longer than any runner lingers before it sleeps, and never in step with a poll interval.
const IDLE: Duration = Duration::from_millis(97);
/// The first jobs of [`Task::Latency`] meet cold caches and unprepared statements, and are not counted.
const WARM_UP: usize = 5;

/// The `main` of every program. Prints why it can't do what it is told to, and exits with 1; with 3 if the queue has not got it.
pub fn main<Q: Queue>() -> ! {
    let task = Arguments::parse().task;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime
        .context("failed to make a runtime")
        .and_then(|runtime| runtime.block_on(perform::<Q>(task)));
    if let Err(error) = &ended {
        eprintln!("{error:?}");
    }
    // What a queue still has running in the background is not waited for.
    std::process::exit(i32::from(ended.is_err()));
}

async fn perform<Q: Queue>(task: Task) -> Result<()> {
    let (Task::Install(options)
    | Task::Spawn(options)
    | Task::Run(options)
    | Task::Churn(options)
    | Task::Latency(options)) = &task;
    if let Err(reason) = Q::check(options) {
        eprintln!("left out: {reason}");
        std::process::exit(3);
    }
    let queue = Arc::new(Q::connect(options).await.context("failed to connect")?);
    match &task {
        Task::Install(_) => queue.install().await,
        Task::Spawn(options) => spawn(queue, options).await,
        Task::Run(options) => run(queue, options).await,
        Task::Churn(options) => churn(queue, options).await,
        Task::Latency(options) => latency(queue, options).await,
    }
}

async fn spawn<Q: Queue>(queue: Arc<Q>, options: &Options) -> Result<()> {
    let producer = Producer::new(queue, options);
    Caller::ready(Q::STILL_RUNNING).await?;
    let started = Instant::now();
    producer.spawn_count().await?;
    protocol::end(json!({ "seconds": started.elapsed().as_secs_f64() }));
    Ok(())
}

async fn run<Q: Queue>(queue: Arc<Q>, options: &Options) -> Result<()> {
    let handler = Handler::counting(options.stamp);
    let caller = Caller::ready(Q::STILL_RUNNING).await?;
    let stop = CancellationToken::new();
    let rss_kb = tokio::select! {
        // Only a failure ends it.
        ended = queue.run(options, handler.clone(), stop.clone()) => return ended,
        () = report(&handler) => unreachable!("it goes on for ever"),
        closed = caller.closed() => { closed?; protocol::rss_kb() }
    };
    protocol::end(figures(&handler, json!({ "rss_kb": rss_kb })));
    Ok(())
}

async fn churn<Q: Queue>(queue: Arc<Q>, options: &Options) -> Result<()> {
    let handler = Handler::counting(options.stamp);
    let producer = Producer::new(Arc::clone(&queue), options);
    let caller = Caller::ready(Q::STILL_RUNNING).await?;
    let stop = CancellationToken::new();
    tokio::select! {
        ended = queue.run(options, handler.clone(), stop.clone()) => return ended,
        ended = Arc::clone(&producer).spawn_until(handler.clone(), stop.clone()) => return ended,
        () = report(&handler) => unreachable!("it goes on for ever"),
        closed = caller.closed() => closed?,
    }
    protocol::end(figures(&handler, json!({ "spawned": producer.spawned() })));
    Ok(())
}

async fn latency<Q: Queue>(queue: Arc<Q>, options: &Options) -> Result<()> {
    let (starts, mut started) = mpsc::unbounded_channel();
    let handler = Handler::telling(starts);
    let _caller = Caller::ready(Q::STILL_RUNNING).await?;
    let stop = CancellationToken::new();
    let runner = {
        let (queue, options, stop) = (Arc::clone(&queue), options.clone(), stop.clone());
        tokio::spawn(async move { queue.run(&options, handler, stop).await })
    };
    let (mut from_call, mut from_return) = (Vec::new(), Vec::new());
    let job = NewJob {
        payload: None,
        channel: "0",
        foreign: false,
        ordered: options.ordered,
        delay: Duration::ZERO,
    };
    for number in 0..options.count + WARM_UP {
        tokio::time::sleep(IDLE + Duration::from_millis(number as u64 * 31 % 60)).await;
        let called = Instant::now();
        queue.spawn(job).await?;
        let returned = Instant::now();
        let start = started.recv().await.context("the runner has ended")?;
        if number >= WARM_UP {
            from_call.push(start.saturating_duration_since(called));
            // It may well start before the answer of the spawn has been read.
            from_return.push(start.saturating_duration_since(returned));
        }
    }
    runner.abort();
    let mut figures = protocol::quantiles("call", from_call);
    merge(&mut figures, protocol::quantiles("return", from_return));
    protocol::end(figures);
    Ok(())
}

async fn report(handler: &Handler) {
    let mut told = 0;
    loop {
        tokio::time::sleep(PROGRESS).await;
        let handled = handler.handled();
        if handled != told {
            protocol::progress(handled);
            told = handled;
        }
    }
}

fn figures(handler: &Handler, mut figures: Value) -> Value {
    figures["handled"] = handler.handled().into();
    merge(&mut figures, protocol::quantiles("start", handler.latencies()));
    figures
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
