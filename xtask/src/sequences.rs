//! `cargo xtask sequences`: plays random sequences of calls on the database and on a model of it, more than the test suite does.

use crate::{report::run_visibly, shell};
use anyhow::{Context, Result};
use std::time::{SystemTime, UNIX_EPOCH};

/// The test that plays them.
const TEST: &str = "sequences::every_row_is_the_one_that_the_model_has";

/// Play random sequences of calls on the database and on its model
#[derive(clap::Args)]
pub struct Arguments {
    /// How many sequences. The test suite plays 256.
    #[arg(long, default_value_t = 10_000)]
    cases: u32,
    /// The same seed plays the same sequences. Default: another one each time.
    #[arg(long)]
    seed: Option<u64>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("the clock is before 1970")?
            .as_secs(),
    };
    println!("{} sequences of seed {seed}", arguments.cases);
    let mut test = shell::cargo("test --package sqlxmq_core --test it --");
    test.args(["--exact", TEST, "--nocapture"])
        .env("SEQUENCES_CASES", arguments.cases.to_string())
        .env("SEQUENCES_SEED", seed.to_string());
    run_visibly(&mut test)
}
