//! Reserves a place in the order of a channel before it is known whether the job is wanted, and commits it later.

use std::time::Duration;

use anyhow::bail;
use sqlxmq::{CommitError, CurrentJob, commit, exists, job, registry};

mod support;

#[job(channel_name = "letters", ordered)]
async fn send(mut current_job: CurrentJob) -> anyhow::Result<()> {
    let Some(letter) = current_job.json::<String>()? else {
        bail!("no letter")
    };
    println!("sent {letter}");
    current_job.complete().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    let _runner = registry().runner(pool).run().await?;

    let mut letter = send.builder();
    letter
        .set_json("the first letter")?
        .set_commit_interval(Some(Duration::from_secs(60)));
    let first = letter.spawn(pool).await?;
    println!("held the first letter");
    let second = send.builder().set_json("the second letter")?.spawn(pool).await?;
    println!("spawned the second letter");

    // The second one is ready, but its predecessor's place is taken.
    tokio::time::sleep(Duration::from_millis(200)).await;
    println!("the second letter waits: {}", exists(pool, second).await?);

    println!("committing the first letter");
    commit(pool, &[first]).await?;
    support::finished(pool, &[first, second]).await?;

    // What is not committed within its interval is removed, and a commit that comes too late says so.
    let mut letter = send.builder();
    letter
        .set_json("the third letter")?
        .set_commit_interval(Some(Duration::from_millis(1)));
    let third = letter.spawn(pool).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    match commit(pool, &[third]).await {
        Err(CommitError::Expired { missing, .. }) => {
            println!("too late for the third letter: {}", missing == [third]);
        }
        other => bail!("expected the third letter to have expired: {other:?}"),
    }
    support::finished(pool, &[third]).await
}
