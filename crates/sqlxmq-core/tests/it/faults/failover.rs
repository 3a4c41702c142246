//! A primary that is gone, and its standby in its place.

use std::time::{Duration, Instant};

use devpg::{DevPg, eventually};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::support::{builder, busy_runner, count, make_tables, pool, until_done};
use crate::proxy::Proxy;

/// Long enough for connections to be made anew, a poll, and a lease that was given by the old primary.
const DISPATCHED_WITHIN: Duration = Duration::from_secs(10);

/// Spawns until it is told to stop. Returns what was acknowledged.
async fn spawn_until(pool: PgPool, mut stop: tokio::sync::oneshot::Receiver<()>) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    while stop.try_recv().is_err() {
        // What is not acknowledged may be there or not.
        if let Ok(id) = builder().spawn(&pool).await {
            acknowledged.push(id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    acknowledged
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
    let spawning = tokio::spawn(spawn_until(through_proxy.clone(), stopped));
    eventually("effects", async || match count(&through_proxy, "effects").await {
        (20.., _) => Ok(()),
        few => Err(format!("{few:?}")),
    })
    .await;

    drop(primary);
    // Whoever moves the address is earlier than whoever promotes: all that can be reached is read-only.
    proxy.lead_to(&standby.url("postgres"));
    let reader = pool(&standby.url("postgres")).await;
    eventually("the runner to find a server that is no use", async || {
        let seen: Vec<String> = sqlx::query_scalar(
            "select application_name from pg_stat_activity where application_name in ('sqlxmq claim', 'sqlxmq complete')",
        )
        .fetch_all(&reader)
        .await
        .map_err(|error| error.to_string())?;
        if seen.is_empty() { Err("nobody".to_owned()) } else { Ok(()) }
    })
    .await;
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
    let (effects, jobs) = count(&direct, "effects").await;
    assert_eq!(effects, jobs, "an effect twice");
    let lost: i64 = sqlx::query_scalar(
        "select count(*) from unnest($1) as a (job) where not exists (select from effects as e where e.job = a.job)",
    )
    .bind(&acknowledged)
    .fetch_one(&direct)
    .await
    .unwrap();
    assert_eq!(lost, 0, "of {} acknowledged", acknowledged.len());
    println!(
        "{effects} effects, {} acknowledged, the first after {took:?}",
        acknowledged.len()
    );
}
