//! Spawns and completes a job inside the application's own transactions: an order that is rolled back is never
//! charged, an order that stays is charged exactly once, although the first attempt fails half-way.

use anyhow::bail;
use serde::{Deserialize, Serialize};
use sqlxmq::{CurrentJob, job, registry};
use uuid::Uuid;

mod support;

#[derive(Serialize, Deserialize)]
struct Charge {
    order: i32,
    price: i32,
}

#[job(retries = 3, backoff_secs = 0.1)]
async fn charge(mut current_job: CurrentJob) -> anyhow::Result<()> {
    let Some(Charge { order, price }) = current_job.json()? else {
        bail!("there is nothing to charge")
    };
    let mut tx = current_job.pool().begin().await?;
    sqlx::query("update example_wallet set euros = euros - $1")
        .bind(price)
        .execute(&mut *tx)
        .await?;
    let tried: i64 = sqlx::query_scalar("select nextval('example_attempts')")
        .fetch_one(&mut *tx)
        .await?;
    if tried == 1 {
        println!("order {order}: taken from the wallet, but the attempt fails before its commit");
        bail!("the card reader is on fire");
    }
    sqlx::query("insert into example_charges (order_id) values ($1)")
        .bind(order)
        .execute(&mut *tx)
        .await?;
    // The job and its effects end in one commit: whoever did not hold the job any more could not commit them.
    current_job.complete_with_transaction(tx).await?;
    println!("order {order}: charged {price} euros");
    Ok(())
}

/// Places an order and spawns its charge, both or neither.
async fn place(pool: &sqlx::PgPool, order: i32, price: i32, confirmed: bool) -> anyhow::Result<Uuid> {
    let mut tx = pool.begin().await?;
    sqlx::query("insert into example_orders (id) values ($1)")
        .bind(order)
        .execute(&mut *tx)
        .await?;
    let id = charge
        .builder()
        .set_json(&Charge { order, price })?
        .spawn(&mut *tx)
        .await?;
    match confirmed {
        true => tx.commit().await?,
        false => tx.rollback().await?,
    }
    Ok(id)
}

async fn create_tables(pool: &sqlx::PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "drop table if exists example_orders, example_charges, example_wallet;
         drop sequence if exists example_attempts;
         create table example_orders (id integer primary key);
         create table example_charges (order_id integer not null);
         create table example_wallet (euros integer not null);
         create sequence example_attempts;
         insert into example_wallet values (100);",
    )
    .execute(pool)
    .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    create_tables(pool).await?;

    let rolled_back = place(pool, 1, 50, false).await?;
    println!(
        "order 1: rolled back, its job exists: {}",
        sqlxmq::exists(pool, rolled_back).await?
    );
    let placed = place(pool, 2, 30, true).await?;
    println!(
        "order 2: placed, its job exists: {}",
        sqlxmq::exists(pool, placed).await?
    );

    let mut registry = registry();
    registry.set_error_handler(|_, error| println!("failed: {error}"));
    let _runner = registry.runner(pool).run().await?;
    support::finished(pool, &[placed]).await?;

    let charges: i64 = sqlx::query_scalar("select count(*) from example_charges")
        .fetch_one(pool)
        .await?;
    let euros: i32 = sqlx::query_scalar("select euros from example_wallet")
        .fetch_one(pool)
        .await?;
    println!("charges: {charges}, left in the wallet: {euros} euros");
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlxmq::testing::Ended;
    use sqlxmq::{assert_spawned, refute_spawned};

    use super::*;

    #[tokio::test]
    async fn an_order_that_stays_is_charged_once_although_the_first_attempt_fails() {
        let test = support::Test::start().await;
        let (queue, pool) = (&test.queue, test.queue.pool());
        create_tables(pool).await.unwrap();

        place(pool, 1, 50, false).await.unwrap();
        refute_spawned!(pool, charge);
        place(pool, 2, 30, true).await.unwrap();
        assert_spawned!(pool, charge, payload matches Some(payload) if payload["order"] == 2);

        let mut registry = registry();
        registry.set_error_handler(|_, _| {});
        let first = queue.drain(&registry).await;
        assert!(matches!(first[0].ended, Ended::Retries { .. }), "{first:?}");
        assert_eq!(first[0].error.as_deref(), Some("the card reader is on fire"));

        queue.advance_to_next().await;
        let second = queue.drain(&registry).await;
        assert_eq!((second[0].attempt, second[0].ended), (2, Ended::Completed));
        let euros: i32 = sqlx::query_scalar("select euros from example_wallet")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(euros, 70);
    }
}
