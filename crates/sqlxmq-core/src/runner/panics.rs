//! Panics of the runner's own parts: a bug of ours must not end the runner silently.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::dispatch::panic_message;
use super::error::RunnerEnded;

/// A part that panics this often within a minute will go on to.
const PANICS_PER_MINUTE: usize = 5;

/// Runs a part until it ends, and again after a panic: its state is as the panic has left it.
pub(crate) async fn restarted<P>(
    name: &'static str,
    mut part: P,
    run: for<'p> fn(&'p mut P) -> BoxFuture<'p, ()>,
) -> Result<(), RunnerEnded> {
    let mut panics = PanicCount::default();
    while let Some(panic) = panicked(run(&mut part)).await {
        panics.count(name, panic)?;
    }
    Ok(())
}

/// The panic of a part, if it ends with one.
pub(crate) async fn panicked(part: impl Future<Output = ()>) -> Option<Box<dyn Any + Send>> {
    AssertUnwindSafe(part).catch_unwind().await.err()
}

/// Counts the panics of a part of ours. One is a bug that costs a moment; many in a row are the end.
#[derive(Debug, Default)]
pub(crate) struct PanicCount(Vec<Instant>);

impl PanicCount {
    pub(crate) fn count(
        &mut self,
        part: &'static str,
        panic: Box<dyn Any + Send>,
    ) -> Result<(), RunnerEnded> {
        let message = panic_message(panic);
        tracing::error!(part, panic = %message, "BUG: a part of the runner panicked and is started again");
        let now = Instant::now();
        self.0
            .retain(|at| now.saturating_duration_since(*at) < Duration::from_secs(60));
        self.0.push(now);
        match self.0.len() > PANICS_PER_MINUTE {
            true => Err(RunnerEnded::Panicked { part, message }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_panics_again_and_again_ends_the_runner_with_the_reason() {
        let mut panics = PanicCount::default();
        for _ in 0..PANICS_PER_MINUTE {
            assert_eq!(panics.count("poll", Box::new("boom")), Ok(()));
        }
        let ended = panics.count("poll", Box::new("boom"));
        assert_eq!(
            ended,
            Err(RunnerEnded::Panicked {
                part: "poll",
                message: "boom".to_owned()
            })
        );
    }
}
