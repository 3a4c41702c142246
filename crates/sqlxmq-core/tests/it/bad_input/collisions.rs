//! Names and channels whose keys collide, as somebody with much time could choose them.
//!
//! The keys are 64 bits of SHA-256. Here all of them are the same, which nobody has computed yet.

use std::time::Duration;

use sqlx::raw_sql;
use sqlxmq_core::CurrentJob;
use tokio::sync::mpsc;

use crate::runner_support::{errors_of, given, runner, until_state};
use crate::support::{job, queue};

#[tokio::test]
async fn jobs_whose_keys_collide_are_run_by_their_names_and_in_order() {
    let db = queue().await;
    raw_sql(
        "create or replace function mq_key(part text) returns bigint language sql stable parallel safe return 7::bigint;
         create or replace function mq_key(part text, next_part text) returns bigint language sql stable parallel safe return 7::bigint;",
    )
    .execute(db.pool())
    .await
    .unwrap();
    let mut others = Vec::new();
    let mut ours = Vec::new();
    for channel_name in ["a", "b", "c"] {
        let stranger = job("stranger")
            .set_channel_name(channel_name)
            .spawn(db.pool())
            .await;
        others.push(stranger.unwrap());
        for ordered in [false, true] {
            let mut job = given();
            job.set_channel_name(channel_name).set_ordered(ordered);
            ours.push((ordered, job.spawn(db.pool()).await.unwrap()));
        }
    }
    let (ran, mut has_run) = mpsc::unbounded_channel();
    let (mut options, mut errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let ran = ran.clone();
        async move {
            assert_eq!(job.name(), "given");
            ran.send(job.id())?;
            Ok(job.complete().await?)
        }
    });
    let handle = options.set_concurrency(8, 8).run().await.unwrap();
    for (_, id) in &ours {
        until_state(db.pool(), *id, "").await;
    }
    // Given back, no attempt used, for somebody who knows them.
    for id in others {
        until_state(db.pool(), id, "scheduled").await;
        assert_eq!(errors_of(db.pool(), id).await, []);
        let attempts: i32 = sqlx::query_scalar("select attempts from mq_scheduled where id = $1")
            .bind(id)
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(attempts, 0);
    }
    handle.shutdown(Duration::from_secs(5)).await;
    drop((handle, options));
    let mut seen = Vec::new();
    while let Some(id) = has_run.recv().await {
        seen.push(id);
    }
    assert_eq!(seen.len(), ours.len(), "each once");
    // Three channels, one line.
    let line: Vec<_> = ours
        .iter()
        .filter(|(ordered, _)| *ordered)
        .map(|(_, id)| *id)
        .collect();
    seen.retain(|id| line.contains(id));
    assert_eq!(seen, line);
    while let Some((name, _)) = errors.recv().await {
        assert_eq!(name, "stranger");
    }
    db.close().await;
}
