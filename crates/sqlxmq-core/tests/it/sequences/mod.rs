//! Random sequences of calls, played on the database and on a model of it: after each step every row must be the one that the
//! model has.
//!
//! [`step`] says what may happen, [`model`] what it means, [`calls`] and [`snapshot`] how it is called and what is checked, and
//! [`play`] compares. `cargo xtask sequences --cases 10000` plays more than the test suite does. A sequence that fails is shrunk
//! and printed as a script; its seed goes to `regressions.txt`, which is played first from then on.

mod answer;
mod calls;
mod leftovers;
mod model;
mod play;
mod snapshot;
mod sql;
mod step;

use crate::laboratory::laboratory;
use play::Player;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use std::{env, sync::atomic::Ordering, thread};
use step::Sequences;

/// Databases on which sequences are played at the same time.
const WORKERS: u32 = 4;
/// How many sequences are played if nobody says otherwise.
const CASES: u32 = 256;
/// How many are played on one database: each leaves dead rows, and what is more than little to read is counted otherwise.
const CASES_OF_A_DATABASE: u32 = 100;
/// How many steps a sequence has.
const STEPS: std::ops::Range<usize> = 10..60;

#[test]
fn every_row_is_the_one_that_the_model_has() {
    let cases: u32 = from_env("SEQUENCES_CASES").unwrap_or(CASES);
    let seed: u64 = from_env("SEQUENCES_SEED").unwrap_or(1);
    let failed: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|nth| {
                scope.spawn(move || {
                    play_all(cases.div_ceil(WORKERS), seed.wrapping_mul(1000) + u64::from(nth))
                })
            })
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().expect("no panic").err())
            .collect()
    });
    assert!(failed.is_empty(), "seed {seed}:\n{}", failed.join("\n\n"));
}

/// Plays so many sequences, on one database after the other.
fn play_all(cases: u32, seed: u64) -> Result<(), String> {
    (0..cases)
        .step_by(CASES_OF_A_DATABASE as usize)
        .try_for_each(|first| {
            let cases = CASES_OF_A_DATABASE.min(cases - first);
            play(cases, seed.wrapping_add(u64::from(first) << 32))
        })
}

/// Plays so many sequences on a database of its own.
fn play(cases: u32, seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let db = runtime.block_on(laboratory());
    let player = std::cell::RefCell::new(runtime.block_on(Player::new(&db)));
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/it/sequences/regressions.txt",
        ))),
        source_file: Some(file!()),
        max_shrink_iters: 3000,
        max_shrink_time: 30_000,
        ..Config::default()
    });
    let result = runner.run(&Sequences::sequential_strategy(STEPS), |(_, steps, seen)| {
        let mut played = || {
            if let Some(seen) = &seen {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        };
        let played = runtime.block_on(player.borrow_mut().play(&steps, &mut played));
        played.map_err(TestCaseError::fail)
    });
    runtime.block_on(async {
        player.into_inner().leave().await;
        db.close().await;
    });
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(script, (_, steps, _))) => {
            Err(format!("{} steps: {steps:?}\n\n{script}", steps.len()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A number for a longer run.
fn from_env<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    let number = value.parse().ok();
    assert!(number.is_some(), "{name}={value} is no number");
    number
}
