//! Delayed jobs start when they are due.

use std::time::Duration;

use sqlxmq::{CurrentJob, JobRegistry, job};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{beside_others, next, number, queue};

const CLOCK: &str = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(800);

#[job(name = "shown.tell_the_time")]
async fn tell_the_time(mut job: CurrentJob, times: UnboundedSender<(u64, i64)>) -> anyhow::Result<()> {
    let now = number(job.pool(), CLOCK).await;
    times.send((job.json()?.unwrap_or_default(), now))?;
    job.complete().await?;
    Ok(())
}

#[tokio::test]
async fn a_delayed_job_starts_not_before_it_is_due_and_within_the_poll_interval_after() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    let (times, mut started) = unbounded_channel::<(u64, i64)>();
    let mut registry = JobRegistry::new(&[tell_the_time]);
    registry.set_context(times);
    let mut runner = registry
        .runner(pool)
        .set_listen(false)
        .set_poll_interval(POLL_INTERVAL)
        .run()
        .await
        .unwrap();
    let before = number(pool, CLOCK).await;
    let delays = [900, 600, 300, 0];
    for delay in delays {
        tell_the_time
            .builder()
            .set_delay(Duration::from_millis(delay))
            .set_json(&delay)
            .unwrap()
            .spawn(pool)
            .await
            .unwrap();
    }
    let after = number(pool, CLOCK).await;
    for _ in delays {
        let (delay, at) = next(&mut started).await;
        let delay = delay.cast_signed();
        let late = (POLL_INTERVAL * 11 / 10 + SLACK).as_millis();
        assert!(
            at >= before + delay,
            "{delay} ms: {} ms early",
            before + delay - at
        );
        assert!(
            at <= after + delay + i64::try_from(late).unwrap(),
            "{delay} ms: {} ms late",
            at - after - delay
        );
    }
    runner.stop().await;
    db.close().await;
}
