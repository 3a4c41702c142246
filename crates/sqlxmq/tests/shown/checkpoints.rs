//! A job that is cut off continues from its last checkpoint.

use std::time::Duration;

use devpg::eventually;
use sqlxmq::{Checkpoint, CurrentJob, JobRegistry, job};

use crate::process::{Given, Process, run_until_let_go};
use crate::support::{beside_others, number, queue, run};

const STEPS: i32 = 60;

/// Makes one step after the other, each in one transaction with the checkpoint behind it.
#[job(name = "shown.make_steps")]
async fn make_steps(mut job: CurrentJob) -> anyhow::Result<()> {
    let first: i32 = job.json()?.unwrap_or_default();
    for step in first..STEPS {
        let mut transaction = job.pool().begin().await?;
        sqlx::query("insert into steps values ($1, $2)")
            .bind(step)
            .bind(job.attempt().cast_signed())
            .execute(&mut *transaction)
            .await?;
        let mut checkpoint = Checkpoint::new();
        checkpoint.set_json(&(step + 1))?;
        job.checkpoint_with_transaction(transaction, &checkpoint).await?;
        // A step takes its time.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    job.complete().await?;
    Ok(())
}

pub async fn runner(Given { pool, .. }: Given) {
    let mut options = JobRegistry::new(&[make_steps]).runner(&pool);
    let handle = options.set_lease(Duration::from_secs(1)).run().await;
    run_until_let_go(handle.expect("a runner")).await;
}

#[tokio::test]
async fn each_step_before_a_checkpoint_is_made_once_though_its_process_is_killed() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    run(
        pool,
        "create table steps (step integer not null, attempt integer not null)",
    )
    .await;
    make_steps.builder().spawn(pool).await.unwrap();
    let mut process = Process::start("checkpoints::runner", &db, 0);
    for steps in [5, 10, 15] {
        eventually("some steps", async || {
            match number(pool, "select count(*) from steps").await {
                made if made >= steps => Ok(()),
                made => Err(format!("{made} steps")),
            }
        })
        .await;
        process.kill().await;
        process = Process::start("checkpoints::runner", &db, 0);
    }
    eventually("the end of the job", async || {
        match number(pool, "select count(*) from mq_jobs").await {
            0 => Ok(()),
            jobs => Err(format!("{jobs} jobs")),
        }
    })
    .await;
    process.stop().await;
    let steps: Vec<(i32, i32)> = sqlx::query_as("select step, attempt from steps order by step, attempt")
        .fetch_all(pool)
        .await
        .unwrap();
    assert!(steps.iter().map(|step| step.0).eq(0..STEPS), "{steps:?}");
    assert!(steps.is_sorted_by_key(|step| step.1), "{steps:?}");
    assert_eq!(steps.last(), Some(&(STEPS - 1, 4)));
    db.close().await;
}
