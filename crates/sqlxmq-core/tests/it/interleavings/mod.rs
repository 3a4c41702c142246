//! Two transactions that meet, over every pair of functions that are called from outside.
//!
//! [`table`] has one entry for each function: how it is called, so that any two of them are about the same jobs. [`schedule`]
//! has the orders in which the statements of two transactions follow each other, [`meeting`] plays one. Whatever
//! the pair and the order: no deadlock, no error but those that are documented, the tables agree with each other at the end
//! (`laboratory/unsound.sql`), and runners that come later complete whatever is left, in order (`drain` in `stage.sql`).

mod meeting;
mod schedule;
mod table;

use crate::{laboratory::laboratory, support::queue};
use meeting::Stage;
use schedule::Meeting;
use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use table::FUNCTIONS;

/// Databases in which pairs meet at the same time.
const STAGES: usize = 4;
/// How many complaints are enough to see what is wrong.
const ENOUGH: usize = 12;

#[tokio::test]
async fn every_public_function_has_an_entry() {
    let db = queue().await;
    let public: Vec<String> = sqlx::query_scalar(
        "select distinct p.proname::text from pg_proc as p
         where p.pronamespace = current_schema()::regnamespace and p.proname like 'mq\\_%' and p.prosecdef
         order by 1",
    )
    .fetch_all(db.pool())
    .await
    .expect("the functions");
    let mut entries: Vec<String> = FUNCTIONS.iter().map(|f| f.name.to_owned()).collect();
    entries.sort();
    entries.dedup();
    assert_eq!(entries, public, "the table of interleavings, and pg_proc");
    db.close().await;
}

#[test]
fn no_two_functions_deadlock_or_leave_the_tables_at_odds() {
    let mut meetings = schedule::meetings();
    // For a short run: only the pairs with this function.
    if let Ok(name) = env::var("INTERLEAVINGS") {
        meetings.retain(|meeting| meeting.first.name == name || meeting.second.name == name);
    }
    play(&meetings);
}

/// Plays all of them, on a few stages at once.
fn play(meetings: &[Meeting]) {
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..STAGES {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async {
                    let db = laboratory().await;
                    let mut stage = Stage::set(&db).await;
                    while let Some(meeting) = meetings.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(complaint) = stage.play(meeting).await {
                            let seen = {
                                let mut complaints = complaints.lock().expect("no panic");
                                complaints.push(format!("{meeting}\n{complaint}"));
                                complaints.len()
                            };
                            if seen >= ENOUGH {
                                next.store(meetings.len(), Ordering::Relaxed);
                            }
                            // Its sessions may be in the middle of something.
                            stage = Stage::reopen(&db, stage).await;
                        }
                    }
                    stage.leave().await;
                    db.close().await;
                });
            });
        }
    });
    let complaints = complaints.into_inner().expect("no panic");
    assert!(
        complaints.is_empty(),
        "{} of {} meetings went wrong:\n\n{}",
        complaints.len(),
        meetings.len(),
        complaints.join("\n\n")
    );
}
