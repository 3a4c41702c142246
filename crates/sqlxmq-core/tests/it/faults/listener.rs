//! A listener that does not read would hold up the server: its notifications pile up, and with them what vacuum may remove.

use devpg::eventually;
use tokio::sync::mpsc;

use crate::runner_support::{runner, spawn_given, until_state};
use crate::support::queue;
use faults::{Fault, Proxy};

/// In all 20 MB: more than the buffers of a connection hold.
const NOTIFICATIONS: i32 = 10_000;
const BYTES: i32 = 2_000;

#[tokio::test]
async fn notifications_are_read_while_a_runner_is_busy_and_none_waits_in_the_server() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: sqlxmq_core::CurrentJob| {
        let started = started.clone();
        async move {
            let (go_on, told) = tokio::sync::oneshot::channel::<()>();
            started.send(go_on)?;
            let _ = told.await;
            job.complete().await?;
            Ok(())
        }
    });
    // All of its slots are taken, so it has no use for a hint.
    let options = options.set_direct_url(&proxy.url(db.url())).set_concurrency(1, 1);
    let mut handle = options.run().await.unwrap();
    let id = spawn_given(db.pool()).await;
    let go_on = has_started.recv().await.unwrap();

    let before = proxy.answered();
    // The answer to a heartbeat would be read after all that waits before it: that is not to count.
    proxy.on_next("select 1", Fault::Silent);
    sqlx::query(
        "select count(pg_notify(mq_wake_channel(), lpad(n::text, $2))) from generate_series(1, $1) as n",
    )
    .bind(NOTIFICATIONS)
    .bind(BYTES)
    .execute(db.pool())
    .await
    .unwrap();
    eventually("all notifications to be read", async || {
        match proxy.answered() - before {
            all if all >= u64::from(NOTIFICATIONS.unsigned_abs() * BYTES.unsigned_abs()) => Ok(()),
            some => Err(format!("{some} bytes")),
        }
    })
    .await;
    eventually("a listener without a snapshot", async || {
        let oldest: Option<i32> = sqlx::query_scalar(
            "select max(age(backend_xmin)) from pg_stat_activity
             where datname = current_database() and application_name = 'sqlxmq listen'",
        )
        .fetch_one(db.pool())
        .await
        .map_err(|error| error.to_string())?;
        match oldest {
            None => Ok(()),
            Some(age) => Err(format!("{age} transactions old")),
        }
    })
    .await;
    drop(go_on);
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_listener_that_hears_nothing_any_more_is_replaced() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (mut options, _errors) = runner(db.pool(), |mut job: sqlxmq_core::CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let options = options.set_direct_url(&proxy.url(db.url()));
    let mut handle = options.run().await.unwrap();
    let listeners = async || -> Vec<i32> {
        sqlx::query_scalar(
            "select pid from pg_stat_activity
             where datname = current_database() and application_name = 'sqlxmq listen'",
        )
        .fetch_all(db.pool())
        .await
        .unwrap()
    };
    let before = listeners().await;
    proxy.freeze();
    eventually("another listener", async || {
        let after = listeners().await;
        if after.iter().any(|pid| !before.contains(pid)) {
            Ok(())
        } else {
            Err(format!("{after:?}"))
        }
    })
    .await;
    handle.stop().await;
}
