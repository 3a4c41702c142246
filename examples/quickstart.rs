//! Prints a greeting from a background job.

use std::error::Error;

use sqlxmq::{CurrentJob, job, registry};

mod support;

// Arguments to the attribute are the job's defaults.
#[job(channel_name = "foo")]
async fn example_job(
    mut current_job: CurrentJob,
    // Found by its type among what the registry was given.
    message: &'static str,
) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
    let who: Option<String> = current_job.json()?;
    println!("{}, {}!", message, who.as_deref().unwrap_or("world"));
    current_job.complete().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;

    // Every `#[job]` that is linked into this program.
    let mut registry = registry();
    registry.set_context("Hello");
    let _runner = registry.runner(pool).set_concurrency(10, 20).run().await?;

    // What is set here wins over the attribute.
    let id = example_job
        .builder()
        .set_channel_name("bar")
        .set_json("John")?
        .spawn(pool)
        .await?;

    // Dropping the runner stops it, so there has to be something to wait for.
    support::finished(pool, &[id]).await
}

#[cfg(test)]
mod tests {
    use sqlxmq::assert_spawned;
    use sqlxmq::testing::Ended;

    use super::*;

    #[tokio::test]
    async fn a_greeting_is_spawned_and_runs() {
        let test = support::Test::start().await;
        let mut greeting = example_job.builder();
        greeting.set_json("John").unwrap();
        greeting.spawn(test.queue.pool()).await.unwrap();
        assert_spawned!(test.queue.pool(), example_job, payload matches Some(who) if who == "John");

        let mut registry = registry();
        registry.set_context("Hello");
        let ran = test.queue.drain(&registry).await;
        assert_eq!(ran.len(), 1);
        assert_eq!(ran[0].ended, Ended::Completed);
    }
}
