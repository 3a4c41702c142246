//! A step as a call, and what the model says to the answer.

use super::{
    answer::Answer,
    model::{Checkpoint, JobNo, NewJob, Queue, RunnerNo, SECOND, State, Time, Token, What},
    play::Game,
    sql,
    step::{New, Pick, Step},
};
use std::collections::BTreeSet;

/// One statement.
pub struct Call {
    pub sql: String,
    /// The code of the error that it must answer with.
    pub refused: Option<&'static str>,
    /// Lets the model do the same, and compares.
    pub check: Check,
}

pub type Check = Box<dyn FnOnce(&mut Game, &Answer) -> Result<(), String>>;

const NAMES: [&str; 3] = ["a", "b", "c"];
const CHANNEL_NAMES: [&str; 3] = ["", "x", "y"];
const CHANNELS: [(&str, &str); 5] = [("", ""), ("x", ""), ("x", "1"), ("y", "1"), ("y", "2")];

/// Not in a transaction with a snapshot of its own.
const REFUSED: &str = "25000";
const TAKEN: &str = "23505";

fn one(sql: String, check: impl FnOnce(&mut Queue, &Answer) -> Result<(), String> + 'static) -> Vec<Call> {
    vec![Call {
        sql,
        refused: None,
        check: Box::new(|game, answer| check(&mut game.queue, answer)),
    }]
}

/// Only for READ COMMITTED.
fn current(
    game: &Game,
    sql: String,
    check: impl FnOnce(&mut Queue, &Answer) -> Result<(), String> + 'static,
) -> Vec<Call> {
    let mut calls = one(sql, check);
    calls[0].refused = game.queue.has_snapshot.then_some(REFUSED);
    calls
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, wanted: T) -> Result<(), String> {
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {seen:?}, not {wanted:?}"))
    }
}

/// What is sent for a step that is a call.
pub fn call(game: &mut Game, step: &Step) -> Vec<Call> {
    let queue = &game.queue;
    match step {
        Step::Spawn(new) => {
            let new = new_jobs(game, new);
            one(sql::spawn_all(&new), move |queue, answer| {
                same("taken", answer.set(0)?, queue.spawn(&new))
            })
        }
        Step::SpawnOne(new) => {
            let new = new_jobs(game, std::slice::from_ref(new));
            let (id, what, delay, interval) = new[0].clone();
            let mut calls = one(sql::spawn(id, &what, delay, interval), move |queue, _| {
                same("taken", BTreeSet::new(), queue.spawn(&new))
            });
            calls[0].refused = game.queue.jobs.contains_key(&id).then_some(TAKEN);
            calls
        }
        Step::Commit(picks) => {
            let ids = choose(game, picks, "held");
            one(
                format!("select mq_commit({})", sql::jobs(&ids)),
                move |queue, answer| same("committed", answer.set(0)?, queue.commit(&ids)),
            )
        }
        Step::Cancel(picks) => {
            let ids = choose(game, picks, "");
            one(
                format!("select mq_cancel({})", sql::jobs(&ids)),
                move |queue, answer| same("cancelled", answer.set(0)?, queue.cancel(&ids)),
            )
        }
        Step::Requeue(picks) => {
            let ids = choose(game, picks, "dead");
            one(
                format!("select mq_requeue({})", sql::jobs(&ids)),
                move |queue, answer| same("requeued", answer.set(0)?, queue.requeue(&ids)),
            )
        }
        Step::Discard(picks) => {
            let ids = choose(game, picks, "dead");
            one(
                format!("select mq_discard({})", sql::jobs(&ids)),
                move |queue, answer| same("discarded", answer.set(0)?, queue.discard(&ids)),
            )
        }
        Step::Clear(mask) => {
            let names = masked(&CHANNEL_NAMES, *mask);
            let quoted: Vec<String> = names.iter().map(|name| sql::quoted(name)).collect();
            let sql = format!("select mq_clear(array[{}])", sql::list(&quoted));
            one(sql, move |queue, answer| {
                let ids: Vec<JobNo> = with_channel_names(queue, &names);
                same(
                    "cleared",
                    answer.text(0).to_owned(),
                    queue.cancel(&ids).len().to_string(),
                )
            })
        }
        Step::ClearAll => one("select mq_clear_all()".to_owned(), |queue, answer| {
            let ids: Vec<JobNo> = queue.jobs.keys().copied().collect();
            same(
                "cleared",
                answer.text(0).to_owned(),
                queue.cancel(&ids).len().to_string(),
            )
        }),
        Step::Register { lease_s } => {
            let lease = Time::from(*lease_s) * SECOND;
            game.last_runner += 1;
            let runner = game.last_runner;
            let sql = format!(
                "select mq_register(runner({runner}), {}, 'a model''s')",
                sql::seconds(lease)
            );
            one(sql, move |queue, _| {
                queue.register(runner, lease);
                Ok(())
            })
        }
        Step::Renew { runner, lease_s } => {
            let (runner, lease) = (a_runner(game, *runner), Time::from(*lease_s) * SECOND);
            let sql = format!("select mq_renew(runner({runner}), {})", sql::seconds(lease));
            one(sql, move |queue, answer| {
                same("renewed", boolean(answer, 0), queue.renew(runner, lease))
            })
        }
        Step::Audit {
            runner,
            forgotten,
            imagined,
            ahead,
        } => {
            let runner = a_runner(game, *runner);
            let mut holds = queue.running_of(runner);
            let mut nth = 0;
            holds.retain(|_| {
                nth += 1;
                nth > 8 || forgotten & (1 << (nth - 1)) == 0
            });
            holds.extend(
                game.tokens
                    .first()
                    .filter(|token| *imagined && !holds.contains(token)),
            );
            let before = game.last_claim + i64::from(*ahead);
            let sql = format!(
                "select lost, failed from mq_audit(runner({runner}), {}, {before})",
                sql::tokens(&holds)
            );
            current(game, sql, move |queue, answer| {
                let (mut lost, failed) = queue.audit(runner, &holds, before);
                lost.sort_unstable();
                let mut seen = answer.jobs(0);
                seen.sort_unstable();
                same("lost", seen, lost)?;
                same("failed", answer.set(1)?, failed)
            })
        }
        Step::Unregister { runner } => {
            let runner = a_runner(game, *runner);
            current(
                game,
                format!("select mq_unregister(runner({runner}))"),
                move |queue, answer| {
                    same(
                        "given back",
                        answer.text(0).to_owned(),
                        queue.unregister(runner).to_string(),
                    )
                },
            )
        }
        Step::Claim { .. } => claim(game, step),
        Step::Complete { tokens, wait } => {
            let (runner, tokens) = choose_tokens(game, tokens);
            let sql = format!(
                "select completed from mq_complete(runner({runner}), {}, {wait})",
                sql::tokens(&tokens)
            );
            one(sql, move |queue, answer| {
                same("completed", answer.set(0)?, queue.complete(runner, &tokens))
            })
        }
        Step::Fail { tokens, wait, long } => {
            let (runner, tokens) = choose_tokens(game, tokens);
            let error = |nth| {
                if *long {
                    format!("{nth}{}", "x".repeat(9000))
                } else {
                    format!("no {nth}")
                }
            };
            let errors: Vec<String> = (0..tokens.len()).map(error).collect();
            let quoted: Vec<String> = errors
                .iter()
                .enumerate()
                .map(|(nth, error)| {
                    if *long {
                        format!("'{nth}' || repeat('x', 9000)")
                    } else {
                        sql::quoted(error)
                    }
                })
                .collect();
            let sql = format!(
                "select failed, dead from mq_fail(runner({runner}), {}, array[{}], {wait})",
                sql::tokens(&tokens),
                sql::list(&quoted)
            );
            one(sql, move |queue, answer| {
                let (failed, dead) = queue.fail(runner, &tokens, &errors);
                same("failed", answer.set(0)?, failed)?;
                same("dead", answer.set(1)?, dead)
            })
        }
        Step::Release { tokens, delay_s } => {
            let (runner, tokens) = choose_tokens(game, tokens);
            let delay = Time::from(*delay_s) * SECOND;
            let sql = format!(
                "select mq_release(runner({runner}), {}, {})",
                sql::tokens(&tokens),
                sql::seconds(delay)
            );
            one(sql, move |queue, answer| {
                same("released", answer.set(0)?, queue.release(runner, &tokens, delay))
            })
        }
        Step::Checkpoint { .. } => {
            let (sql, runner, token, checkpoint, keep_alive) = checkpoint(game, step);
            one(sql, move |queue, answer| {
                same(
                    "done",
                    boolean(answer, 0),
                    queue.checkpoint(runner, token, &checkpoint, keep_alive),
                )
            })
        }
        Step::KeepAlive { token, seconds } => {
            let (runner, tokens) = choose_tokens(game, &[*token]);
            let (token, duration) = (tokens[0], Time::from(*seconds) * SECOND);
            one(keep_alive(runner, token, duration), move |queue, answer| {
                same(
                    "kept",
                    boolean(answer, 0),
                    queue.keep_alive(runner, token, duration),
                )
            })
        }
        Step::Promote { max } => {
            let max = usize::from(*max);
            current(
                game,
                format!("select *, mq_microseconds(next_in) from mq_promote({max})"),
                move |queue, answer| {
                    let (promoted, expired, next) = queue.promote(max);
                    same("promoted", answer.text(0).to_owned(), promoted.to_string())?;
                    same("expired", answer.text(1).to_owned(), expired.to_string())?;
                    same(
                        "next in",
                        answer.text(3).to_owned(),
                        next.map_or("-".to_owned(), |n| n.to_string()),
                    )
                },
            )
        }
        Step::Reap { stale } => {
            let beats: Vec<(RunnerNo, i64)> = queue
                .runners
                .iter()
                .map(|(runner, row)| (*runner, row.beat - i64::from(*stale)))
                .collect();
            let runners: Vec<String> = beats
                .iter()
                .map(|(runner, _)| format!("runner({runner})"))
                .collect();
            let numbers: Vec<i64> = beats.iter().map(|(_, beat)| *beat).collect();
            let sql = format!(
                "select * from mq_reap(array[{}]::uuid[], array[{}]::bigint[])",
                sql::list(&runners),
                sql::list(&numbers)
            );
            current(game, sql, move |queue, answer| {
                let (runners, jobs) = queue.reap(&beats);
                same("reaped", answer.rows(), vec![format!("{runners} | {jobs}")])
            })
        }
        Step::ReapJobs => current(game, "select mq_reap_jobs()".to_owned(), |queue, answer| {
            same("reaped", answer.text(0).to_owned(), queue.reap_jobs().to_string())
        }),
        Step::RefreshCounts => current(game, "select mq_refresh_counts()".to_owned(), |queue, _| {
            queue.refresh_counts();
            Ok(())
        }),
        Step::Look => look(game),
        _ => unreachable!("BUG: it is not a call"),
    }
}

/// A claim chooses among what may start. What it may not do is checked here.
fn claim(game: &mut Game, step: &Step) -> Vec<Call> {
    let Step::Claim {
        runner,
        names,
        channels,
        max,
        few_bytes,
        sweep,
        own_lease_s,
    } = step
    else {
        unreachable!("BUG: it is a claim");
    };
    game.last_claim += 1;
    let (runner, claim) = (a_runner(game, *runner), game.last_claim);
    let names = names.map(|mask| masked(&NAMES, mask));
    let channels = channels.map(|mask| masked(&CHANNEL_NAMES, mask));
    let (max, sweep) = (usize::from(*max), *sweep);
    let max_bytes: usize = if *few_bytes { 4 } else { 1 << 20 };
    let own_lease = own_lease_s.map(|s| Time::from(s) * SECOND);
    let after = if game.after_channel.is_empty() {
        "0"
    } else {
        &game.after_channel
    };
    let name_keys = sql::keys(names.as_deref());
    let own_lease_sql = own_lease.map_or("null".to_owned(), sql::seconds);
    let sql = match channels.as_deref() {
        None => format!(
            "select ids, attempts, more, expired, {after}
             from mq_claim_by_name(runner({runner}), {claim}, {max}, {max_bytes}, {name_keys}, {sweep}, {own_lease_sql}, false)"
        ),
        Some(channels) => format!(
            "select ids, attempts, more, expired, after_channel
             from mq_claim_by_channel(runner({runner}), {claim}, {max}, {max_bytes}, {name_keys}, {}, {after}, {own_lease_sql}, false)",
            sql::keys(Some(channels)),
        ),
    };
    let check = move |game: &mut Game, answer: &Answer| {
        let queue = &mut game.queue;
        let (ids, attempts) = (answer.jobs(0), answer.numbers(1));
        let (more, expired) = (boolean(answer, 2), boolean(answer, 3));
        game.after_channel = answer.text(4).to_owned();
        game.tokens.extend(ids.iter().map(|id| (*id, claim)));
        let wanted = |queue: &Queue, id: &JobNo| {
            let what = &queue.jobs[id].what;
            queue.may_start(*id)
                && names.as_ref().is_none_or(|names| names.contains(&what.name))
                && channels
                    .as_ref()
                    .is_none_or(|channels| channels.contains(&what.channel.0))
        };
        let is_alive = queue
            .runners
            .get(&runner)
            .is_some_and(|r| r.until > queue.now && r.first_claim <= claim);
        let has_wanted = queue.jobs.keys().any(|id| wanted(queue, id));
        if !is_alive {
            same("claimed after the lease", ids, vec![])?;
            return same("expired", expired || !has_wanted, true);
        }
        same("expired", expired, false)?;
        if ids.len() > max {
            return Err(format!("{} jobs, not {max}", ids.len()));
        }
        let bytes = |id: &JobNo| {
            let what = &queue.jobs[id].what;
            let unordered = usize::from(!what.ordered);
            unordered
                * (what.json.as_ref().map_or(0, String::len) + what.bytes.as_ref().map_or(0, String::len))
        };
        let sizes: Vec<usize> = ids
            .iter()
            .filter(|id| queue.jobs.contains_key(id))
            .map(bytes)
            .collect();
        if sizes.iter().sum::<usize>() >= max_bytes + sizes.iter().max().unwrap_or(&0) && sizes.len() > 1 {
            return Err(format!("{sizes:?} bytes, not {max_bytes}"));
        }
        for (id, attempt) in ids.iter().zip(&attempts) {
            if !queue.jobs.contains_key(id) || !wanted(queue, id) {
                return Err(format!(
                    "job {id} was claimed, which may not start or was not asked for"
                ));
            }
            same("attempt", *attempt, queue.start(*id, runner, claim, own_lease))?;
        }
        let left: Vec<JobNo> = queue
            .jobs
            .keys()
            .copied()
            .filter(|id| wanted(queue, id))
            .collect();
        if sweep && !more && !left.is_empty() {
            return Err(format!(
                "jobs {left:?} may start, but the claim says that there is no more"
            ));
        }
        Ok(())
    };
    let mut calls = vec![Call {
        sql,
        refused: game.queue.has_snapshot.then_some(REFUSED),
        check: Box::new(check),
    }];
    if !game.queue.has_snapshot {
        calls.push(payloads(game));
    }
    calls
}

/// What jobs are to do: their payloads, or what a checkpoint has put in place of them.
fn payloads(game: &Game) -> Call {
    let ids: Vec<JobNo> = (1..=game.last_job).collect();
    let sql = format!(
        "select number_of(id), name, channel_name, channel_args, payload_json, convert_from(payload_bytes, 'UTF8'), microseconds(spawned_at), max_attempts
         from mq_payloads({})",
        sql::jobs(&ids)
    );
    let check = |game: &mut Game, answer: &Answer| {
        let line = |(id, job): (&JobNo, &super::model::Job)| {
            let checkpoint = job.checkpoint.clone().unwrap_or_default();
            let json = checkpoint.json.or(job.what.json.clone());
            let bytes = checkpoint.bytes.or(job.what.bytes.clone());
            let (name, (channel_name, channel_args)) = (job.what.name, job.what.channel);
            let (json, bytes) = (json.unwrap_or("-".to_owned()), bytes.unwrap_or("-".to_owned()));
            let attempts = job.what.max_attempts + checkpoint.extra;
            format!(
                "{id} | {name} | {channel_name} | {channel_args} | {json} | {bytes} | {} | {attempts}",
                job.spawned_at
            )
        };
        same(
            "payloads",
            answer.rows(),
            game.queue.jobs.iter().map(line).collect(),
        )
    };
    Call {
        sql,
        refused: None,
        check: Box::new(check),
    }
}

/// Everything that can be asked.
fn look(game: &Game) -> Vec<Call> {
    let mut calls = vec![payloads(game)];
    calls.extend(one(
        "select channel_name, channel_args, state, jobs from mq_counts() order by 1, 2, 3".to_owned(),
        |queue, answer| {
            let line = |((name, args, state), jobs): (&(String, String, String), &i64)| {
                format!("{name} | {args} | {state} | {jobs}")
            };
            same("counts", answer.rows(), queue.counts().iter().map(line).collect())
        },
    ));
    calls.extend(one(
        "select number_of(id), attempts, microseconds(died_at), left(last_error, 5) from mq_dead_jobs(2, job(3))".to_owned(),
        |queue, answer| {
            let line = |(id, job): (&JobNo, &super::model::Job)| match job.state {
                State::Dead { at, used } if *id > 3 => {
                    let error: String = job.errors.last().map_or("-".to_owned(), |e| e.2.chars().take(5).collect());
                    Some(format!("{id} | {used} | {at} | {error}"))
                }
                _ => None,
            };
            same("dead", answer.rows(), queue.jobs.iter().filter_map(line).take(2).collect())
        },
    ));
    let last = game.last_job;
    calls.extend(one(
        format!("select mq_exists(job({last}))"),
        move |queue, answer| same("exists", boolean(answer, 0), queue.jobs.contains_key(&last)),
    ));
    calls.extend(one(
        format!("select attempt, microseconds(failed_at), left(error, 5) from mq_job_errors(job({last}))"),
        move |queue, answer| {
            let line = |(attempt, at, error): &(i32, Time, String)| {
                format!("{attempt} | {at} | {}", error.chars().take(5).collect::<String>())
            };
            let errors = queue.jobs.get(&last).map_or(&[][..], |job| &job.errors);
            same("errors", answer.rows(), errors.iter().map(line).collect())
        },
    ));
    calls.extend(one(
        "select number_of(runner), beat, expired from mq_runners_seen() order by 1".to_owned(),
        |queue, answer| {
            let now = queue.now;
            let line = |(runner, row): (&RunnerNo, &super::model::Runner)| {
                format!(
                    "{runner} | {} | {}",
                    row.beat,
                    if row.until <= now { "t" } else { "f" }
                )
            };
            same("runners", answer.rows(), queue.runners.iter().map(line).collect())
        },
    ));
    calls
}

// Which jobs, runners and tokens a step is about.

/// The jobs to be spawned, with ids of their own or that of another.
pub fn new_jobs(game: &mut Game, new: &[New]) -> Vec<NewJob> {
    let mut jobs = Vec::new();
    for new in new {
        let known_id = new
            .known_id
            .filter(|_| game.last_job > 0)
            .map(|pick| 1 + JobNo::from(pick) % game.last_job);
        // What another job of the same id has left is known by the time of its spawn, and this clock may stand still.
        let known_id = known_id.filter(|id| game.queue.left_by.get(id) != Some(&game.now));
        let id = known_id.unwrap_or_else(|| {
            game.last_job += 1;
            game.last_job
        });
        let backoff = Time::from(new.backoff_s) * SECOND;
        let what = What {
            name: NAMES[usize::from(new.name)],
            channel: CHANNELS[usize::from(new.channel)],
            ordered: new.ordered,
            max_attempts: i32::from(new.retries) + 1,
            backoff,
            max_backoff: Time::from(new.max_backoff_s) * SECOND,
            json: new.json.then(|| format!("{{\"n\":{id}}}")),
            bytes: new.bytes.then(|| format!("bytes {id}")),
        };
        let interval = new.commit_interval_s.map(|s| Time::from(s) * SECOND);
        jobs.push((id, what, Time::from(new.delay_s) * SECOND, interval));
    }
    jobs
}

/// Jobs in a state (any, if it has no name), and now and then one that is not.
pub fn choose(game: &Game, picks: &[Pick], state: &str) -> Vec<JobNo> {
    let fits = |job: &super::model::Job| state.is_empty() || job.state.name() == state;
    let fitting: Vec<JobNo> = game
        .queue
        .jobs
        .iter()
        .filter(|(_, job)| fits(job))
        .map(|(id, _)| *id)
        .collect();
    let one = |pick: &Pick| {
        if pick % 4 == 3 || fitting.is_empty() {
            1 + JobNo::from(pick / 4) % (game.last_job + 1)
        } else {
            fitting[usize::from(pick / 4) % fitting.len()]
        }
    };
    picks.iter().map(one).collect()
}

/// A runner that is there, or one that never was.
fn a_runner(game: &Game, pick: Pick) -> RunnerNo {
    let runners: Vec<RunnerNo> = game.queue.runners.keys().copied().collect();
    if runners.is_empty() || pick == u8::MAX {
        return 9999;
    }
    runners[usize::from(pick) % runners.len()]
}

/// Tokens of one runner, and now and then one that it does not hold (any more).
pub fn choose_tokens(game: &Game, picks: &[Pick]) -> (RunnerNo, Vec<Token>) {
    let runners: Vec<RunnerNo> = game
        .queue
        .runners
        .keys()
        .copied()
        .filter(|runner| !game.queue.running_of(*runner).is_empty())
        .collect();
    let runner = match runners.len() {
        0 => 1,
        many => runners[usize::from(picks[0] / 4) % many],
    };
    let held = game.queue.running_of(runner);
    // Best of all one of a job that runs again by now.
    let mut old = game.tokens.clone();
    old.retain(|token| !held.contains(token) && held.iter().any(|(id, _)| *id == token.0));
    let old = if old.is_empty() { &game.tokens } else { &old };
    let one = |pick: &Pick| {
        let nth = usize::from(pick / 4);
        match (pick % 4 == 3 || held.is_empty(), old.len()) {
            (false, _) => held[nth % held.len()],
            (true, 0) => (1, 1),
            (true, many) => old[nth % many],
        }
    };
    (runner, picks.iter().map(one).collect())
}

pub fn checkpoint(game: &Game, step: &Step) -> (String, RunnerNo, Token, Checkpoint, Time) {
    let Step::Checkpoint {
        token,
        json,
        bytes,
        extra,
        keep_alive_s,
    } = step
    else {
        unreachable!("BUG: it is a checkpoint");
    };
    let (runner, tokens) = choose_tokens(game, &[*token]);
    let (id, claim) = tokens[0];
    let checkpoint = Checkpoint {
        json: json.then(|| format!("[{claim}]")),
        bytes: bytes.then(|| format!("after {claim}")),
        extra: i32::from(*extra),
    };
    let keep_alive = Time::from(*keep_alive_s) * SECOND;
    let sql = format!(
        "select done from mq_checkpoint(runner({runner}), job({id}), {claim}, {}, {}, {extra}, {})",
        sql::quoted_or_null(checkpoint.json.as_ref()),
        sql::quoted_or_null(checkpoint.bytes.as_ref()),
        sql::seconds(keep_alive)
    );
    (sql, runner, (id, claim), checkpoint, keep_alive)
}

pub fn keep_alive(runner: RunnerNo, (id, claim): Token, duration: Time) -> String {
    format!(
        "select mq_keep_alive(runner({runner}), job({id}), {claim}, {})",
        sql::seconds(duration)
    )
}

fn with_channel_names(queue: &Queue, names: &[&str]) -> Vec<JobNo> {
    let jobs = queue.jobs.iter();
    jobs.filter(|(_, job)| names.contains(&job.what.channel.0))
        .map(|(id, _)| *id)
        .collect()
}

fn masked(names: &[&'static str], mask: u8) -> Vec<&'static str> {
    let chosen = |nth: &usize| mask & (1 << nth) != 0;
    (0..names.len()).filter(chosen).map(|nth| names[nth]).collect()
}

pub fn boolean(answer: &Answer, column: usize) -> bool {
    answer.text(column) == "t"
}
