//! Jobs that were spawned together share a row while they are ready. Nobody but the tables may notice.

use std::collections::HashSet;

use uuid::Uuid;

use super::session::{Session, assert_sound, waits_for_a_lock};
use crate::support::queue;

/// Spawns `jobs` jobs, in turn in each of these channels, in one statement. Returns their ids, in order.
async fn spawn_together(session: &mut Session, channels: &[&str], jobs: usize, bytes: usize) -> Vec<Uuid> {
    let ids: Vec<Uuid> = session
        .one(&format!(
            "select array(select mq_new_id() from generate_series(1, {jobs}) order by 1)"
        ))
        .await;
    let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let channels: Vec<String> = channels.iter().map(|channel| format!("'{channel}'")).collect();
    let taken: Vec<Uuid> = session
        .one(&format!(
            "select mq_spawn_all(i, array_fill('job'::text, a), array_fill('c'::text, a),
               array(select (array[{channels}])[1 + n % {count}] from generate_subscripts(i, 1) as n), array_fill(false, a),
               array_fill(4, a), array_fill(0::bigint, a), array_fill(0::bigint, a), array_fill(0::bigint, a),
               array_fill(null::bigint, a), array_fill(null::text, a), array_fill(convert_to(repeat('x', {bytes}), 'UTF8'), a))
             from (select array[{ids}]::uuid[] as i, array[{jobs}] as a) as s",
            channels = channels.join(","),
            count = channels.len(),
            ids = list.join(","),
        ))
        .await;
    assert!(taken.is_empty());
    ids
}

async fn jobs_that_are_claimed_in_parts(channel_names: &[&str]) {
    let db = queue().await;
    let (mut first, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let spawned = spawn_together(&mut first, &["A", "B"], 100, 0).await;
    let rows: i64 = first.one("select count(*) from mq_ready").await;
    assert!(rows < 10, "{rows} rows for 100 jobs of two flows");
    let mut claimed = HashSet::new();
    for round in 0.. {
        let session = if round % 2 == 0 { &mut first } else { &mut second };
        let some = session.claim_with(7, &["job"], channel_names, false).await;
        assert!(some.ids.len() <= 7);
        assert_sound(session).await;
        if some.ids.is_empty() && !some.more {
            break;
        }
        for id in some.ids {
            assert!(claimed.insert(id), "{id} was claimed twice");
        }
    }
    assert_eq!(claimed, spawned.into_iter().collect());
    db.close().await;
}

#[tokio::test]
async fn a_run_that_is_claimed_in_parts_gives_each_job_once() {
    jobs_that_are_claimed_in_parts(&[]).await;
}

#[tokio::test]
async fn a_run_that_a_subscription_claims_in_parts_gives_each_job_once() {
    jobs_that_are_claimed_in_parts(&["c"]).await;
}

#[tokio::test]
async fn a_job_is_cancelled_out_of_a_run_and_the_others_stay() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let spawned = spawn_together(&mut session, &["A"], 20, 10).await;
    // One in the middle, the first, and all of the second run.
    let mut cancelled: Vec<Uuid> = vec![spawned[0], spawned[7]];
    cancelled.extend(&spawned[16..]);
    for id in &cancelled {
        assert!(session.cancel(*id).await.unwrap());
        assert_sound(&mut session).await;
    }
    assert!(!session.cancel(spawned[7]).await.unwrap());
    let left: Vec<Uuid> = spawned
        .iter()
        .copied()
        .filter(|id| !cancelled.contains(id))
        .collect();
    let claimed = session.claim(100, &["job"]).await;
    assert_eq!(claimed.ids, left);
    db.close().await;
}

#[tokio::test]
async fn a_cancellation_that_waits_for_a_run_holds_none_behind_it() {
    let db = queue().await;
    let (mut first, mut second) = (Session::open(&db).await, Session::open(&db).await);
    let mut observer = Session::open(&db).await;
    // Their ids take turns in two runs.
    let spawned = spawn_together(&mut first, &["A", "B"], 8, 0).await;
    first.run("begin").await;
    assert!(first.cancel(spawned[2]).await.unwrap());
    let both = format!(
        "select mq_cancel(array['{}', '{}']::uuid[])",
        spawned[1], spawned[6]
    );
    let pid = second.pid().await;
    let (cancelled, ()) = tokio::join!(second.one::<Vec<Uuid>>(&both), async {
        waits_for_a_lock(&mut observer, pid).await;
        first.run("set local lock_timeout = '5 s'").await;
        assert!(
            first.cancel(spawned[3]).await.unwrap(),
            "nobody who waits for us holds it"
        );
        first.run("commit").await;
    });
    assert_eq!(cancelled.len(), 2);
    assert_sound(&mut first).await;
    db.close().await;
}

#[tokio::test]
async fn a_claim_of_few_bytes_takes_a_part_of_a_run() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    spawn_together(&mut runner, &["A"], 32, 1000).await;
    for (channel_names, max_bytes, expected) in [(None, 100, 1), (None, 4500, 5), (Some("c"), 4500, 5)] {
        let claim = match channel_names {
            None => "mq_claim_by_name($, #, 30, %, array[mq_key('job')], false, null, false)".to_owned(),
            Some(name) => format!(
                "mq_claim_by_channel($, #, 30, %, array[mq_key('job')], array[mq_key('{name}')], 0, null, false)"
            ),
        };
        let number: i64 = runner.one("select 1 + count(*) from mq_running").await;
        let claim = claim
            .replace('$', &format!("'{}'", runner.runner))
            .replace('#', &number.to_string())
            .replace('%', &max_bytes.to_string());
        let claimed: i32 = runner.one(&format!("select cardinality(ids) from {claim}")).await;
        assert_eq!(claimed, expected, "{claim}");
    }
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_flow_waits_behind_all_jobs_of_its_last_run() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    spawn_together(&mut session, &["A"], 20, 0).await;
    // The last of them is there, and has had no other place meanwhile.
    assert_eq!(session.claim(19, &["job"]).await.ids.len(), 19);
    session
        .run("select mq_spawn('job', channel_name => 'c', channel_args => 'A')")
        .await;
    let tags: Vec<i64> = session
        .one("select array(select tag - min(tag) over () from mq_ready order by tag)")
        .await;
    assert_eq!(tags, [0, 4]);
    db.close().await;
}
