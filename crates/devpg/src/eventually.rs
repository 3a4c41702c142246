//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// How long a condition may take. Generous: a busy machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest pause between two looks; the first ones are shorter.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Returns what `probe` returns once it is `Ok`; polls often and gives up late.
///
/// # Panics
///
/// If `probe` has not said `Ok` within 20 seconds; the message has `what` and the last `Err`.
///
/// # Cancel safety
///
/// As cancel safe as `probe`.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(seen) if started.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} for {what}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
