//! Each channel has its turn within one rotation.

use std::collections::HashMap;

use super::session::{Session, assert_sound};
use crate::support::queue;

/// Completes everything in claims of `batch` and returns the channel args in the order of their claims.
async fn drain(runner: &mut Session, batch: i32, channel_names: &[&str]) -> Vec<String> {
    let mut order = Vec::new();
    loop {
        let claimed = runner.claim_with(batch, &["job"], channel_names, false).await;
        if claimed.ids.is_empty() {
            return order;
        }
        let channels: Vec<String> = runner
            .one(&format!(
                "select array(select j.channel_args from unnest(array['{}']::uuid[]) with ordinality as i (id, n)
                 join mq_jobs as j using (id) order by n)",
                claimed
                    .ids
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("','")
            ))
            .await;
        order.extend(channels);
        runner.complete(&claimed.ids, claimed.claim).await;
    }
}

async fn spawn_many(session: &mut Session, channel: &str, jobs: usize) {
    session
        .run(&format!(
            "select mq_spawn_all(array(select mq_new_id() from generate_series(1, {jobs})), array_fill('job'::text, a),
               array_fill('c'::text, a), array_fill('{channel}'::text, a), array_fill(false, a), array_fill(4, a),
               array_fill(0::bigint, a), array_fill(0::bigint, a), array_fill(0::bigint, a), array_fill(null::bigint, a),
               array_fill(null::text, a), array_fill(null::bytea, a))
             from (select array[{jobs}]) as s (a)"
        ))
        .await;
}

async fn small_channels_are_done_early(channel_names: &[&str], batch: i32) {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    spawn_many(&mut runner, "A", 3000).await;
    for channel in 'B'..='Z' {
        spawn_many(&mut runner, &channel.to_string(), 10).await;
    }
    let order = drain(&mut runner, batch, channel_names).await;
    assert_eq!(order.len(), 3000 + 25 * 10);
    let last_small = order
        .iter()
        .rposition(|channel| channel != "A")
        .expect("small channels");
    // Ten rounds of 26 channels.
    assert!(
        last_small < 300,
        "the last small channel was done at {last_small}"
    );
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_large_backlog_does_not_delay_small_channels() {
    small_channels_are_done_early(&[], 16).await;
}

/// A runner starts what it has claimed in this order, and more than it has places for.
#[tokio::test]
async fn a_claim_returns_its_jobs_in_the_order_in_which_they_are_due() {
    small_channels_are_done_early(&[], 500).await;
}

#[tokio::test]
async fn a_large_backlog_does_not_delay_small_channels_of_a_subscription() {
    small_channels_are_done_early(&["c", "unused"], 16).await;
}

#[tokio::test]
async fn a_channel_that_comes_back_does_not_overtake_those_that_wait() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    spawn_many(&mut runner, "patient", 50).await;
    let mut served = HashMap::<String, usize>::new();
    // One job at a time in a channel that is empty each time: it may have every second place, not more.
    for _ in 0..40 {
        spawn_many(&mut runner, "busy", 2).await;
        let claimed = runner.claim_with(2, &["job"], &[], false).await;
        for id in &claimed.ids {
            let channel: String = runner
                .one(&format!("select channel_args from mq_jobs where id = '{id}'"))
                .await;
            *served.entry(channel).or_default() += 1;
        }
        runner.complete(&claimed.ids, claimed.claim).await;
    }
    assert!(served["patient"] >= 39, "{served:?}");
    db.close().await;
}

#[tokio::test]
async fn each_name_has_its_share_of_a_claim() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run("select mq_spawn('loud') from generate_series(1, 300); select mq_spawn('quiet') from generate_series(1, 10)")
        .await;
    let claimed = runner.claim(20, &["loud", "quiet"]).await;
    let quiet: i64 = runner
        .one("select count(*) from mq_running join mq_jobs using (id) where name = 'quiet'")
        .await;
    assert_eq!(claimed.ids.len(), 20);
    assert_eq!(quiet, 10);
    db.close().await;
}

#[tokio::test]
async fn five_thousand_channels_are_served_in_rounds_of_small_batches() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    spawn_many(&mut runner, "A", 2000).await;
    runner
        .run("select mq_spawn('job', channel_name => 'c', channel_args => 's' || g) from generate_series(1, 5000) as g")
        .await;
    let order = drain(&mut runner, 16, &[]).await;
    assert_eq!(order.len(), 7000);
    let last_small = order
        .iter()
        .rposition(|channel| channel != "A")
        .expect("small channels");
    assert!(
        last_small < 5100,
        "the last small channel was done at {last_small}"
    );
    db.close().await;
}

#[tokio::test]
async fn a_locked_job_does_not_hold_up_the_other_channels_of_a_channel_name() {
    let db = queue().await;
    let (mut runner, mut operator) = (Session::runner(&db).await, Session::open(&db).await);
    runner
        .run("select mq_spawn('job', channel_name => 'ours', channel_args => g::text) from generate_series(1, 5) as g")
        .await;
    let first: uuid::Uuid = runner
        .one("select id from mq_ready_jobs order by channel_key < 0, channel_key limit 1")
        .await;
    operator.run("begin").await;
    assert!(operator.cancel(first).await.unwrap());
    let mut claimed = 0;
    for _ in 0..10 {
        claimed += runner.claim_with(1, &["job"], &["ours"], false).await.ids.len();
    }
    assert_eq!(claimed, 4);
    assert!(!runner.claim_with(2, &["job"], &["ours"], false).await.more);
    db.close().await;
}

#[tokio::test]
async fn every_name_of_a_channel_has_its_turn_in_claims_of_one_job() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run(
            "select mq_spawn(n, channel_name => 'ours')
             from generate_series(1, 40), unnest(array['one', 'other']) as n",
        )
        .await;
    for _ in 0..40 {
        let claimed = runner.claim_with(1, &["one", "other"], &["ours"], false).await;
        assert_eq!(claimed.ids.len(), 1);
    }
    let names: i64 = runner
        .one("select count(distinct j.name) from mq_running as r join mq_jobs as j on j.id = r.id")
        .await;
    assert_eq!(names, 2);
    db.close().await;
}

#[tokio::test]
async fn who_claims_one_job_at_a_time_takes_one_name_after_the_other() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    for _ in 0..10 {
        runner.spawn("one", "a").await;
        runner.spawn("other", "a").await;
    }
    let mut names = Vec::new();
    for _ in 0..10 {
        let claimed = runner.claim_with(1, &["one", "other"], &[], false).await;
        let id = claimed.ids[0];
        names.push(
            runner
                .one::<String>(&format!("select name from mq_jobs where id = '{id}'"))
                .await,
        );
    }
    assert!(names.windows(2).all(|next| next[0] != next[1]), "{names:?}");
    db.close().await;
}
