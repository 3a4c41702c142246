//! Jobs whose payload is an argument: the builder wants it, the runner completes them, and what can't be helped is dead at once.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlxmq::{
    BoxError, CurrentJob, FromJob, JobError, JobInput, Json, Outcome, dead_jobs, job, permanent, registry,
};

mod support;

/// What a charge is of. The first version had the cents alone.
#[derive(Serialize, Deserialize)]
struct Charge {
    cents: u32,
    card: String,
}

fn from_v1(cents: u32) -> Charge {
    Charge {
        cents,
        card: "the usual card".to_owned(),
    }
}

/// Whose jobs these are: the channel's arguments say.
struct Customer(u64);

impl FromJob for Customer {
    type Error = BoxError;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
        Ok(Self(input.job().channel_args().parse().map_err(permanent)?))
    }
}

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card was declined")
    }
}

impl std::error::Error for Declined {}

/// Another attempt would not get more money.
impl JobError for Declined {
    fn is_permanent(&self) -> bool {
        true
    }
}

#[job("charge", channel_name = "payments", ordered, timeout = "1m", version = 2, upgrade = from_v1)]
async fn charge_card(
    Customer(customer): Customer,
    Json(charge): Json<Charge>,
    job: &CurrentJob,
) -> Result<Outcome, Declined> {
    if charge.cents > 100_000 {
        return Err(Declined);
    }
    if job.attempt() == 1 && charge.card == "a slow card" {
        println!("customer {customer}: the bank is busy");
        return Ok(Outcome::Retry {
            after: std::time::Duration::from_millis(50),
        });
    }
    println!(
        "customer {customer} pays {} cents with {}",
        charge.cents, charge.card
    );
    Ok(Outcome::Done)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    let mut registry = registry();
    // The example prints what becomes of its jobs itself.
    registry.set_error_handler(|_, _| {});
    let mut runner = registry.runner(pool).run().await?;

    // What a program of last year has left in the queue, and what those of today add to it. The channel is ordered.
    let mut old = sqlxmq::JobBuilder::new("charge");
    old.set_channel_name("payments")
        .set_ordered(true)
        .set_raw_json("250");
    let of = |cents: u32, card: &str| Charge {
        cents,
        card: card.to_owned(),
    };
    let slow = charge_card.builder(&of(300, "a slow card"));
    let dear = charge_card.builder(&of(1_000_000, "a golden card"));
    let last = charge_card.builder(&of(400, "a golden card"));
    let mut jobs = Vec::new();
    jobs.push(old.set_channel_args("7").spawn(pool).await?);
    for mut builder in [slow, dear, last] {
        jobs.push(builder.set_channel_args("7").spawn(pool).await?);
    }
    let [old, slow, dear, last] = jobs[..] else {
        unreachable!("four jobs were spawned")
    };
    support::finished(pool, &[old, slow, last]).await?;
    for dead in dead_jobs(pool, 10, None).await? {
        anyhow::ensure!(dead.id == dear);
        println!(
            "dead after {} attempt: {}",
            dead.attempts,
            dead.last_error.unwrap_or_default()
        );
    }
    runner.stop().await;
    Ok(())
}
