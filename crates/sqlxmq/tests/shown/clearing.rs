//! Clearing channels reaches the jobs that run.

use std::sync::Arc;

use sqlxmq::{CompleteError, CurrentJob, JobRegistry, clear, clear_all, exists, job};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{beside_others, next, number, queue, run};

#[derive(Clone)]
struct Stage {
    words: UnboundedSender<String>,
    go: Arc<Notify>,
}

/// Makes its effect, says so, and commits it when it is told to.
#[job(name = "shown.wait_for_the_word", channel_name = "cleared")]
async fn wait_for_the_word(mut job: CurrentJob, stage: Stage) -> anyhow::Result<()> {
    let mut transaction = job.pool().begin().await?;
    sqlx::query("insert into effects values ($1)")
        .bind(job.id())
        .execute(&mut *transaction)
        .await?;
    stage.words.send("started".to_owned())?;
    stage.go.notified().await;
    let outcome = job.complete_with_transaction(transaction).await;
    stage.words.send(match &outcome {
        Ok(()) => "completed".to_owned(),
        Err(CompleteError::LeaseLost { .. }) => "refused".to_owned(),
        Err(other) => other.to_string(),
    })?;
    Ok(outcome?)
}

/// What is cleared while the job runs.
enum Way {
    Clear,
    ClearAll,
    ClearOther,
}

#[tokio::test]
async fn a_job_that_is_cleared_while_it_runs_can_not_commit_its_effects() {
    let _beside = beside_others().await;
    let db = queue().await;
    let pool = db.pool();
    run(pool, "create table effects (job uuid not null)").await;
    let (words, mut said) = unbounded_channel();
    let go = Arc::new(Notify::new());
    let mut registry = JobRegistry::new(&[wait_for_the_word]);
    registry.set_context(Stage {
        words,
        go: Arc::clone(&go),
    });
    registry.set_error_handler(|_, _| {});
    let mut runner = registry.runner(pool).run().await.unwrap();

    for way in [Way::Clear, Way::ClearAll, Way::ClearOther] {
        let id = wait_for_the_word.builder().spawn(pool).await.unwrap();
        assert_eq!(next(&mut said).await, "started");
        match way {
            Way::Clear => clear(pool, &["cleared"]).await.unwrap(),
            Way::ClearAll => clear_all(pool).await.unwrap(),
            Way::ClearOther => clear(pool, &["other"]).await.unwrap(),
        }
        let (is_there, outcome) = match way {
            Way::Clear | Way::ClearAll => (false, "refused"),
            Way::ClearOther => (true, "completed"),
        };
        assert_eq!(exists(pool, id).await.unwrap(), is_there);
        go.notify_one();
        assert_eq!(next(&mut said).await, outcome);
    }
    assert_eq!(number(pool, "select count(*) from effects").await, 1);
    runner.stop().await;
    db.close().await;
}
