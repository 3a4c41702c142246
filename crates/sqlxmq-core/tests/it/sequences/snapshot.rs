//! A call in a transaction whose snapshot is older than what others have done since.
//!
//! It may be told to try again (40001), and need not see a job that was spawned, or a token that was handed out, after its snapshot.
//! But what nobody has touched since must work, and what is said to be done must be done.

use super::{
    answer::Answer,
    calls::{self, boolean, choose, choose_tokens},
    model::{JobNo, Queue, SECOND, Time, Token},
    play::Game,
    sql,
    step::Step,
};
use std::collections::BTreeSet;

/// One statement.
pub struct SnapshotCall {
    pub sql: String,
    /// Whether 40001 is an answer.
    pub may_be_refused: bool,
    pub check: calls::Check,
}

/// What is sent for a step, by a session that sees `then`.
pub fn call(game: &mut Game, step: &Step, then: Queue) -> SnapshotCall {
    match step {
        Step::Spawn(new) => {
            let new = calls::new_jobs(game, new);
            let ids: Vec<JobNo> = new.iter().map(|(id, ..)| *id).collect();
            let sql = sql::spawn_all(&new);
            let check = move |game: &mut Game, answer: &Answer| {
                let taken = game.queue.spawn(&new);
                if answer.set(0)? == taken {
                    Ok(())
                } else {
                    Err(format!("taken: not {taken:?}"))
                }
            };
            SnapshotCall {
                sql,
                may_be_refused: !touched(game, &then, &ids).is_empty(),
                check: Box::new(check),
            }
        }
        Step::Commit(picks) => {
            let ids = choose(game, picks, "held");
            named(game, then, &ids, "mq_commit", false, Queue::commit)
        }
        Step::Cancel(picks) => {
            let ids = choose(game, picks, "");
            named(game, then, &ids, "mq_cancel", true, Queue::cancel)
        }
        Step::Requeue(picks) => {
            let ids = choose(game, picks, "dead");
            named(game, then, &ids, "mq_requeue", false, Queue::requeue)
        }
        Step::Discard(picks) => {
            let ids = choose(game, picks, "dead");
            named(game, then, &ids, "mq_discard", false, Queue::discard)
        }
        Step::Complete { tokens, wait } => {
            let (runner, tokens) = choose_tokens(game, tokens);
            let ids = ids_of(&tokens);
            let fresh = touched(game, &then, &ids);
            let sql = format!(
                "select completed from mq_complete(runner({runner}), {}, {wait})",
                sql::tokens(&tokens)
            );
            let may_be_refused = !fresh.is_empty();
            let check = move |game: &mut Game, answer: &Answer| {
                let done = answer.set(0)?;
                let wanted = game.queue.clone().complete(runner, &tokens);
                acceptable(&done, &wanted, &fresh)?;
                let tokens: Vec<Token> = tokens.into_iter().filter(|(id, _)| done.contains(id)).collect();
                game.queue.complete(runner, &tokens);
                Ok(())
            };
            SnapshotCall {
                sql,
                may_be_refused,
                check: Box::new(check),
            }
        }
        Step::Checkpoint { .. } => {
            let (sql, runner, token, checkpoint, keep_alive) = calls::checkpoint(game, step);
            maybe(game, then, sql, token, move |queue| {
                queue.checkpoint(runner, token, &checkpoint, keep_alive)
            })
        }
        Step::KeepAlive { token, seconds } => {
            let (runner, tokens) = choose_tokens(game, &[*token]);
            let (token, duration) = (tokens[0], Time::from(*seconds) * SECOND);
            let sql = calls::keep_alive(runner, token, duration);
            maybe(game, then, sql, token, move |queue| {
                queue.keep_alive(runner, token, duration)
            })
        }
        _ => unreachable!("BUG: not for snapshots"),
    }
}

/// A call with ids that answers with those for which it was done.
fn named(
    game: &Game,
    then: Queue,
    ids: &[JobNo],
    function: &str,
    follows: bool,
    act: fn(&mut Queue, &[JobNo]) -> BTreeSet<JobNo>,
) -> SnapshotCall {
    let mut fresh = touched(game, &then, ids);
    let may_be_refused = !fresh.is_empty();
    if follows {
        // It must not pass over a job that it has seen.
        fresh.retain(|id| !then.jobs.contains_key(id));
    }
    let ids = ids.to_vec();
    let sql = format!("select {function}({})", sql::jobs(&ids));
    let check = move |game: &mut Game, answer: &Answer| {
        let done = answer.set(0)?;
        let wanted = act(&mut game.queue.clone(), &ids);
        acceptable(&done, &wanted, &fresh)?;
        let ids: Vec<JobNo> = ids.into_iter().filter(|id| done.contains(id)).collect();
        act(&mut game.queue, &ids);
        Ok(())
    };
    SnapshotCall {
        sql,
        may_be_refused,
        check: Box::new(check),
    }
}

/// A call with one token that answers whether it was done.
fn maybe(
    game: &Game,
    then: Queue,
    sql: String,
    token: Token,
    act: impl FnOnce(&mut Queue) -> bool + 'static,
) -> SnapshotCall {
    let fresh = touched(game, &then, &[token.0]);
    let written = game
        .queue
        .jobs
        .get(&token.0)
        .is_some_and(|job| job.written_in > then.step);
    let may_be_refused = !fresh.is_empty() || written;
    let check = move |game: &mut Game, answer: &Answer| {
        let done = boolean(answer, 0);
        if !done && !fresh.is_empty() {
            return Ok(());
        }
        if act(&mut game.queue) == done {
            Ok(())
        } else {
            Err(format!("done: {done}"))
        }
    };
    SnapshotCall {
        sql,
        may_be_refused,
        check: Box::new(check),
    }
}

/// What is done must be what may be done, and may only leave out what is fresh.
fn acceptable(
    done: &BTreeSet<JobNo>,
    wanted: &BTreeSet<JobNo>,
    fresh: &BTreeSet<JobNo>,
) -> Result<(), String> {
    let left_out: BTreeSet<JobNo> = wanted.difference(done).copied().collect();
    if done.is_subset(wanted) && left_out.is_subset(fresh) {
        return Ok(());
    }
    Err(format!(
        "done: {done:?}, not {wanted:?}; since the snapshot only {fresh:?} were touched"
    ))
}

/// Those of these jobs that were spawned, moved or removed since.
fn touched(game: &Game, then: &Queue, ids: &[JobNo]) -> BTreeSet<JobNo> {
    let is_fresh = |id: &JobNo| match (game.queue.jobs.get(id), then.jobs.get(id)) {
        (Some(now), Some(_)) => now.moved_in > then.step || now.spawned_in > then.step,
        (None, None) => false,
        _ => true,
    };
    ids.iter().copied().filter(is_fresh).collect()
}

fn ids_of(tokens: &[Token]) -> Vec<JobNo> {
    tokens.iter().map(|(id, _)| *id).collect()
}
