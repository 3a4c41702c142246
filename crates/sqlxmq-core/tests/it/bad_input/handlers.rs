//! The table of handlers: one line per way to misbehave, how the job ends, and that its neighbours run all the same.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sqlxmq_core::{
    BoxError, Checkpoint, CheckpointError, CompleteError, CurrentJob, InvalidJob, KeepAliveError, cancel,
    clear_all, config,
};

use crate::runner_support::{JobFuture, errors_of, given, runner, spawn_given, until_state};
use crate::support::queue;

enum Ends {
    /// Gone, by its own completion or somebody's cancel.
    Gone,
    /// Out of its one attempt, with an error that begins like this.
    Dead(&'static str),
}
use Ends::{Dead, Gone};

type Line = (&'static str, fn(CurrentJob) -> JobFuture, Ends);

/// A handler that is an async block.
macro_rules! does {
    (|mut $job:ident| $body:expr) => {
        |mut $job: CurrentJob| -> JobFuture { Box::pin(async move { $body }) }
    };
    (|$job:ident| $body:expr) => {
        |$job: CurrentJob| -> JobFuture { Box::pin(async move { $body }) }
    };
}

/// What is asserted inside of a handler would only be another panic of its own.
fn expect(is_so: bool, what: &str) -> Result<(), BoxError> {
    if is_so {
        Ok(())
    } else {
        Err(format!("not so: {what}").into())
    }
}

#[rustfmt::skip]
const LINES: [Line; 26] = [
    ("completes", does!(|mut job| Ok(job.complete().await?)), Gone),
    ("completes twice", does!(|mut job| {
        job.complete().await?;
        expect(matches!(job.complete().await, Err(CompleteError::AlreadyCompleted { .. })), "completed already")
    }), Gone),
    ("completes, and then fails", does!(|mut job| { job.complete().await?; Err("too late".into()) }), Gone),
    ("completes, and then panics", does!(|mut job| { job.complete().await?; panic!("too late") }), Gone),
    ("completes twice, in a transaction", does!(|mut job| {
        let transaction = job.pool().begin().await?;
        job.complete_with_transaction(transaction).await?;
        let transaction = job.pool().begin().await?;
        let again = job.complete_with_transaction(transaction).await;
        expect(matches!(again, Err(CompleteError::AlreadyCompleted { .. })), "completed already")
    }), Gone),
    ("completes in a transaction that has failed", does!(|mut job| {
        let mut transaction = job.pool().begin().await?;
        let _ = sqlx::query("select 1 / 0").execute(&mut *transaction).await;
        let refused = job.complete_with_transaction(transaction).await;
        expect(matches!(refused, Err(CompleteError::Store { .. })), "not completed")?;
        Ok(job.complete().await?)
    }), Gone),
    ("returns after it was cancelled", does!(|job| { cancel(job.pool(), &[job.id()]).await?; Ok(()) }), Gone),
    ("completes after it was cancelled", does!(|mut job| {
        cancel(job.pool(), &[job.id()]).await?;
        let refused = job.complete().await;
        expect(matches!(refused, Err(CompleteError::LeaseLost { .. })), "its lease is lost")?;
        let transaction = job.pool().begin().await?;
        let refused = job.complete_with_transaction(transaction).await;
        expect(matches!(refused, Err(CompleteError::LeaseLost { .. })), "its lease is lost")
    }), Gone),
    ("fails after it was cancelled", does!(|job| { cancel(job.pool(), &[job.id()]).await?; Err("too late".into()) }), Gone),
    ("is cleared while it runs", does!(|mut job| {
        sqlxmq_core::clear(job.pool(), &["cleared"]).await?;
        expect(matches!(job.complete().await, Err(CompleteError::LeaseLost { .. })), "its lease is lost")
    }), Gone),
    ("blocks its thread for two leases", does!(|mut job| {
        std::thread::sleep(Duration::from_millis(2_200));
        expect(!job.is_cancelled(), "it has its lease")?;
        Ok(job.complete().await?)
    }), Gone),
    ("returns without completing", does!(|_job| Ok(())), Dead("the job was dropped without being completed: call its `complete`, or take it as `&mut CurrentJob`")),
    ("fails", does!(|_job| Err("no luck".into())), Dead("no luck")),
    ("fails with a long text, and NUL", does!(|_job| Err(format!("\0{}", "\u{e9}".repeat(1 << 20)).into())), Dead("\u{fffd}\u{e9}")),
    ("fails with an error that can't be shown", does!(|_job| Err(Box::new(Unprintable) as BoxError)), Dead("the job panicked: no words for it")),
    ("fails with an error that is its own cause", does!(|_job| Err(Box::new(Circular) as BoxError)), Dead("round and round")),
    ("fails with an error that panics in Drop", does!(|_job| Err(Box::new(Fragile) as BoxError)), Dead("")),
    ("panics", does!(|_job| panic!("the roof is on fire")), Dead("the job panicked: the roof is on fire")),
    ("panics with what is no text", does!(|_job| std::panic::panic_any(7)), Dead("the job panicked: something that is not a text")),
    ("panics with what panics in Drop", does!(|_job| std::panic::panic_any(Bomb)), Dead("the job panicked: something that is not a text")),
    ("panics in Drop", does!(|_job| { let _bomb = Bomb; Ok(()) }), Dead("the job panicked: boom")),
    ("panics when its future is dropped", |job| Box::pin(Explosive(job)), Dead("the job panicked: boom")),
    ("panics before its future is made", |_job| panic!("at once"), Dead("the job panicked: at once")),
    ("asks for a lease without end", does!(|mut job| {
        for too_long in [Duration::MAX, config::MAX_DURATION + Duration::from_nanos(1)] {
            let refused = job.keep_alive(too_long).await;
            expect(matches!(&refused, Err(error @ KeepAliveError::TooLong { .. }) if !error.is_transient()), "too long")?;
            let checkpoint = Checkpoint::new_keep_alive(too_long);
            let refused = job.checkpoint(&checkpoint).await;
            expect(matches!(&refused, Err(error @ CheckpointError::TooLong { .. }) if !error.is_transient()), "too long")?;
            let transaction = job.pool().begin().await?;
            let refused = job.checkpoint_with_transaction(transaction, &checkpoint).await;
            expect(matches!(refused, Err(CheckpointError::TooLong { .. })), "too long")?;
        }
        job.keep_alive(config::MAX_DURATION).await?;
        Ok(job.complete().await?)
    }), Gone),
    ("checkpoints what is no JSON, and too much", does!(|mut job| {
        for raw in ["", "{", "\"\0\""] {
            let refused = job.checkpoint(Checkpoint::new().set_raw_json(raw)).await;
            let is_json = matches!(&refused, Err(error @ CheckpointError::Invalid { source: InvalidJob::Json { .. } }) if !error.is_transient());
            expect(is_json, "JSON that is none")?;
        }
        let refused = job.checkpoint(Checkpoint::new().set_extra_retries(usize::MAX)).await;
        expect(matches!(refused, Err(CheckpointError::TooManyRetries { .. })), "too many")?;
        let large = vec![0; 600 << 20];
        let refused = job.checkpoint(Checkpoint::new().set_raw_bytes(&large)).await;
        expect(matches!(refused, Err(CheckpointError::Invalid { source: InvalidJob::PayloadTooLarge { .. } })), "too large")?;
        Ok(job.complete().await?)
    }), Gone),
    ("takes its payload for something else", does!(|job| { job.json::<Vec<u8>>()?; Ok(()) }), Dead("invalid type")),
];

/// An error that can't be shown.
#[derive(Debug)]
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words for it")
    }
}

impl std::error::Error for Unprintable {}

/// An error that leads back to itself.
#[derive(Debug)]
struct Circular;

impl fmt::Display for Circular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round and round")
    }
}

impl std::error::Error for Circular {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

/// An error that can't be dropped.
#[derive(Debug)]
struct Fragile;

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("handle with care")
    }
}

impl std::error::Error for Fragile {}

impl Drop for Fragile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("broken");
        }
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("boom");
        }
    }
}

/// A future that panics when it is dropped.
struct Explosive(#[allow(dead_code, reason = "held until the drop")] CurrentJob);

impl Future for Explosive {
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("boom");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_line_of_the_table_of_handlers_ends_as_it_says_and_harms_no_neighbour() {
    let db = queue().await;
    let (mut options, mut errors) = runner(db.pool(), |mut job: CurrentJob| -> JobFuture {
        match job.json::<usize>() {
            Ok(Some(nth)) => LINES[nth].1(job),
            _ => Box::pin(async move { Ok(job.complete().await?) }),
        }
    });
    // Short, so that whoever blocks is past it soon.
    let mut handle = options
        .set_concurrency(8, 16)
        .set_lease(Duration::from_secs(1))
        .run()
        .await
        .unwrap();
    let mut ids = Vec::new();
    let mut neighbours = Vec::new();
    for (nth, (what, ..)) in LINES.iter().enumerate() {
        let channel_name = if what.contains("cleared") { "cleared" } else { "" };
        let mut job = given();
        job.set_retries(0).set_channel_name(channel_name);
        ids.push(job.set_json(&nth).unwrap().spawn(db.pool()).await.unwrap());
        neighbours.push(spawn_given(db.pool()).await);
    }
    let mut wrong = Vec::new();
    for (id, (what, _, ends)) in ids.into_iter().zip(&LINES) {
        let expected = match ends {
            Gone => "",
            Dead(_) => "dead",
        };
        until_state(db.pool(), id, expected).await;
        let seen = errors_of(db.pool(), id).await;
        let is_right = match ends {
            Gone => seen.is_empty(),
            Dead(text) => seen.len() == 1 && seen[0].1.starts_with(text) && seen[0].1.len() <= 8_192,
        };
        if !is_right {
            let shown: String = format!("{seen:?}").chars().take(200).collect();
            wrong.push(format!("{what}: {shown}"));
        }
    }
    for id in neighbours {
        until_state(db.pool(), id, "").await;
    }
    handle.stop().await;
    drop(options);
    drop(handle);
    // An assertion inside of a handler that did not hold.
    while let Some((_, text)) = errors.recv().await {
        if text.starts_with("not so") {
            wrong.push(text);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_error_handler_that_panics_stops_nothing() {
    let db = queue().await;
    let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        if job.json::<bool>()?.is_some() {
            return Err("to be told".into());
        }
        Ok(job.complete().await?)
    });
    options.set_error_handler(|_, _| panic!("I can't hear this"));
    let mut handle = options.run().await.unwrap();
    for _ in 0..3 {
        let failing = given()
            .set_retries(0)
            .set_json(&true)
            .unwrap()
            .spawn(db.pool())
            .await
            .unwrap();
        until_state(db.pool(), failing, "dead").await;
        let fine = spawn_given(db.pool()).await;
        until_state(db.pool(), fine, "").await;
    }
    handle.stop().await;
    clear_all(db.pool()).await.unwrap();
}
