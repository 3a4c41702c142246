//! Splits one job into a hundred: they are spawned by one statement, and as part of the transaction that completes
//! the first, so that all of them exist exactly once.

use anyhow::bail;
use sqlxmq::{CurrentJob, job, registry, spawn_all};

mod support;

#[job]
async fn resize_album(mut current_job: CurrentJob) -> anyhow::Result<()> {
    let Some(photos) = current_job.json::<i32>()? else {
        bail!("no album")
    };
    let mut parts = Vec::new();
    for photo in 1..=photos {
        let mut part = resize_photo.builder();
        part.set_json(&photo)?;
        parts.push(part);
    }
    let mut tx = current_job.pool().begin().await?;
    let ids = spawn_all(&mut *tx, &parts).await?;
    sqlx::query("insert into example_parts (id) select unnest($1::uuid[])")
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    current_job.complete_with_transaction(tx).await?;
    println!("one job became {}", ids.len());
    Ok(())
}

#[job(channel_name = "photos", retries = 10)]
async fn resize_photo(mut current_job: CurrentJob) -> anyhow::Result<()> {
    let photo = current_job.json::<i32>()?;
    let mut tx = current_job.pool().begin().await?;
    sqlx::query("insert into example_photos (photo) values ($1)")
        .bind(photo)
        .execute(&mut *tx)
        .await?;
    current_job.complete_with_transaction(tx).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    sqlx::raw_sql(
        "drop table if exists example_parts, example_photos;
         create table example_parts (id uuid primary key);
         create table example_photos (photo integer not null);",
    )
    .execute(pool)
    .await?;

    let album = resize_album.builder().set_json(&100)?.spawn(pool).await?;
    let _runner = registry().runner(pool).run().await?;
    support::finished(pool, &[album]).await?;
    let parts: Vec<uuid::Uuid> = sqlx::query_scalar("select id from example_parts")
        .fetch_all(pool)
        .await?;
    support::finished(pool, &parts).await?;

    let (count, sum): (i64, i64) = sqlx::query_as("select count(*), sum(photo) from example_photos")
        .fetch_one(pool)
        .await?;
    println!("{count} photos were resized; their numbers add up to {sum}");
    Ok(())
}
