//! A primary that is gone, and its standby in its place.

use std::time::{Duration, Instant};

use devpg::{DevPg, eventually};
use sqlx::postgres::PgPoolOptions;

use tokio_util::task::TaskTracker;

use super::support::{
    busy_runner, check_effects, count, make_tables, pool, spawn, spawn_until, until_done, until_more,
};
use faults::Proxy;

/// Long enough for connections to be made anew, a poll, and a lease that was given by the old primary.
const DISPATCHED_WITHIN: Duration = Duration::from_secs(10);

/// Waits until somebody has talked to the server behind the proxy. Connections that are no use are gone too soon to be seen there.
async fn has_talked(proxy: &Proxy) {
    let before = proxy.answered();
    eventually("the runner to find a server that is no use", async || {
        match proxy.answered() - before {
            1000.. => Ok(()),
            little => Err(format!("{little} bytes")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_nothing_acknowledged_is_lost_and_jobs_start_within_ten_seconds() {
    // Commits wait for the standby, not for a disk.
    let primary = DevPg::builder()
        .durable()
        .setting("fsync", "off")
        .start()
        .expect("a server");
    let url = primary.url("postgres");
    let direct = pool(&url).await;
    sqlxmq_core::migrate(&direct).await.expect("the schema");
    make_tables(&direct).await;
    direct.close().await;
    let standby = primary.standby().await.expect("a standby");
    let proxy = Proxy::start(&url).await;
    let through_proxy = PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(2))
        .connect(&proxy.url(&url))
        .await
        .unwrap();

    let mut options = busy_runner(&through_proxy, Duration::from_millis(30));
    let options = options.set_direct_url(&proxy.url(&url)).set_concurrency(8, 16);
    let mut handle = options.run().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let spawning = TaskTracker::new().spawn(spawn_until(through_proxy.clone(), stopped));
    until_more(&through_proxy, 20).await;

    drop(primary);
    // Whoever moves the address is earlier than whoever promotes: all that can be reached is read-only.
    proxy.lead_to(&standby.url("postgres"));
    let reader = pool(&standby.url("postgres")).await;
    has_talked(&proxy).await;
    let (effects_before, _) = count(&reader, "effects").await;
    reader.close().await;
    let promoted = standby.promote().await.expect("a server of its own");
    let promoted_at = Instant::now();
    let direct = pool(&promoted.url("postgres")).await;
    eventually("the next effect", async || {
        let (effects, _) = count(&direct, "effects").await;
        if effects > effects_before {
            Ok(())
        } else {
            Err(format!("{effects}"))
        }
    })
    .await;
    let took = promoted_at.elapsed();
    assert!(took < DISPATCHED_WITHIN, "{took:?}");

    stop.send(()).unwrap();
    let acknowledged = spawning.await.unwrap();
    until_done(&direct).await;
    handle.stop().await;
    check_effects(&direct, &acknowledged).await;
    println!(
        "{} acknowledged, the first effect after {took:?}",
        acknowledged.len()
    );
}

#[tokio::test]
async fn a_runner_that_was_led_to_a_standby_leaves_it() {
    let primary = DevPg::builder()
        .durable()
        .setting("fsync", "off")
        .start()
        .expect("a server");
    let url = primary.url("postgres");
    let direct = pool(&url).await;
    sqlxmq_core::migrate(&direct).await.expect("the schema");
    make_tables(&direct).await;
    let standby = primary.standby().await.expect("a standby");
    let proxy = Proxy::start(&url).await;
    let mut options = busy_runner(&direct, Duration::from_millis(30));
    let mut handle = options.set_direct_url(&proxy.url(&url)).run().await.unwrap();

    proxy.lead_to(&standby.url("postgres"));
    proxy.cut();
    has_talked(&proxy).await;
    proxy.lead_to(&url);
    spawn(&direct).await;
    until_done(&direct).await;
    handle.stop().await;
}
