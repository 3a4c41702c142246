//! What this binary does as one of the processes of a test.

use std::env;

use crate::process::{Given, ROLE};
use crate::{checkpoints, exactly_once, migrating, ordered};

/// No test, but the other processes' entry: returns at once unless the environment names a role.
#[test]
fn role() {
    let Ok(role) = env::var(ROLE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let given = Given::from_environment().await;
        match role.as_str() {
            "exactly_once::spawner" => exactly_once::spawner(given).await,
            "exactly_once::runner" => exactly_once::runner(given).await,
            "exactly_once::paused" => exactly_once::paused(given).await,
            "ordered::spawner" => ordered::spawner(given).await,
            "ordered::runner" => ordered::runner(given).await,
            "checkpoints::runner" => checkpoints::runner(given).await,
            "migrating::migrator" => migrating::migrator(given).await,
            other => panic!("there is no role {other}"),
        }
    });
    // A thread that reads the input can't be stopped.
    runtime.shutdown_background();
}
