//! Jobs spawned with a commit interval: they keep their place, start when they are committed, or are gone.

use std::time::Duration;

use sqlx::PgPool;
use sqlxmq::{CommitError, CurrentJob, JobRegistry, commit, exists, job};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::support::{beside_others, next, queue};

#[job(name = "shown.say_who_runs", ordered)]
async fn say_who_runs(mut job: CurrentJob, words: UnboundedSender<String>) -> anyhow::Result<()> {
    words.send(job.json()?.unwrap_or_default())?;
    job.complete().await?;
    Ok(())
}

async fn spawn(pool: &PgPool, who: &str, channel: &str, commit_interval: Option<Duration>) -> Uuid {
    let mut builder = say_who_runs.builder();
    builder
        .set_channel_args(channel)
        .set_commit_interval(commit_interval);
    builder.set_json(who).unwrap().spawn(pool).await.unwrap()
}

#[tokio::test]
async fn a_held_job_starts_when_it_is_committed_and_before_those_behind_it() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    let (words, mut said) = unbounded_channel::<String>();
    let mut registry = JobRegistry::new(&[say_who_runs]);
    registry.set_context(words);
    // The commit has to wake it.
    let mut runner = registry
        .runner(pool)
        .set_poll_interval(Duration::from_secs(3600))
        .run()
        .await
        .unwrap();
    let held = spawn(pool, "held", "one", Some(Duration::from_secs(3600))).await;
    spawn(pool, "behind", "one", None).await;
    spawn(pool, "elsewhere", "other", None).await;
    assert_eq!(next(&mut said).await, "elsewhere");
    commit(pool, &[held]).await.unwrap();
    assert_eq!(next(&mut said).await, "held");
    assert_eq!(next(&mut said).await, "behind");
    runner.stop().await;
    db.close().await;
}

#[tokio::test]
async fn a_held_job_that_nobody_commits_is_gone_and_those_behind_it_start() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    let (words, mut said) = unbounded_channel::<String>();
    let mut registry = JobRegistry::new(&[say_who_runs]);
    registry.set_context(words);
    let mut runner = registry
        .runner(pool)
        .set_poll_interval(Duration::from_millis(100))
        .run()
        .await
        .unwrap();
    let held = spawn(pool, "held", "one", Some(Duration::from_millis(300))).await;
    spawn(pool, "behind", "one", None).await;
    assert_eq!(next(&mut said).await, "behind");
    assert!(!exists(pool, held).await.unwrap());
    let too_late = commit(pool, &[held]).await.unwrap_err();
    assert!(
        matches!(&too_late, CommitError::Expired { committed, missing } if committed.is_empty() && missing == &[held]),
        "{too_late:?}"
    );
    spawn(pool, "last", "one", None).await;
    assert_eq!(next(&mut said).await, "last");
    runner.stop().await;
    db.close().await;
}
