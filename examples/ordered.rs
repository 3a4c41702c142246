//! Runs the jobs of each account strictly in the order in which they were spawned, one at a time, while the
//! accounts run side by side, and one job fails and is tried again in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use sqlxmq::{CurrentJob, job, registry};

mod support;

type Ledger = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

// The account is the channel's argument: order is kept among the jobs that have both in common.
#[job(channel_name = "accounts", ordered, backoff_secs = 0.1)]
async fn book(mut current_job: CurrentJob, ledger: Ledger) -> anyhow::Result<()> {
    let Some((account, number)) = current_job.json::<(String, u64)>()? else {
        bail!("no entry")
    };
    // The later ones would be faster.
    tokio::time::sleep(Duration::from_millis(20 - 4 * number)).await;
    let fails = {
        let mut ledger = ledger.lock().unwrap();
        let lines = ledger.entry(account.clone()).or_default();
        let fails = account == "bob" && number == 2 && lines.len() == 1;
        lines.push(if fails {
            format!("{number} failed")
        } else {
            number.to_string()
        });
        fails
    };
    if fails {
        bail!("the ledger is locked");
    }
    current_job.complete().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;

    let mut jobs = Vec::new();
    for number in 1..=4 {
        for account in ["alice", "bob", "carol"] {
            let mut entry = book.builder();
            jobs.push(
                entry
                    .set_channel_args(account)
                    .set_json(&(account, number))?
                    .spawn(pool)
                    .await?,
            );
        }
    }

    let ledger = Ledger::default();
    let mut registry = registry();
    registry.set_context(ledger.clone()).set_error_handler(|_, _| ());
    let _runner = registry.runner(pool).run().await?;
    support::finished(pool, &jobs).await?;

    for (account, lines) in ledger.lock().unwrap().iter() {
        println!("{account}: {}", lines.join(", "));
    }
    Ok(())
}
