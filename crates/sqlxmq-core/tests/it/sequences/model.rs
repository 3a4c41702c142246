//! The queue, written plainly: what jobs and runners are there, and what each call makes of them.
//!
//! Nothing here knows of tables, locks or marks. A claim may choose among what is ready, so what it has chosen is told to the
//! model, which says whether it may.

use std::collections::{BTreeMap, BTreeSet};

/// A job's number; `job(n)` in SQL.
pub type JobNo = u32;
/// A runner's number; `runner(n)` in SQL.
pub type RunnerNo = u32;
/// Microseconds since the clock of the laboratory began.
pub type Time = i64;
/// The proof of a claim: a job, and the number of its runner's claim.
pub type Token = (JobNo, i64);

pub const SECOND: Time = 1_000_000;

/// A job to be spawned: its delay, and its commit interval.
pub type NewJob = (JobNo, What, Time, Option<Time>);

/// What a job is.
#[derive(Debug, Clone, PartialEq)]
pub struct What {
    pub name: &'static str,
    pub channel: (&'static str, &'static str),
    pub ordered: bool,
    pub max_attempts: i32,
    pub backoff: Time,
    pub max_backoff: Time,
    pub json: Option<String>,
    pub bytes: Option<String>,
}

/// When a job is due: jitter is known when it is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Due {
    At(Time),
    Between(Time, Time),
}

/// Where a job is.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    Held {
        until: Time,
        due: Time,
    },
    Scheduled {
        due: Due,
        used: i32,
    },
    Ready {
        used: i32,
    },
    Running {
        runner: RunnerNo,
        claim: i64,
        attempt: i32,
    },
    Dead {
        at: Time,
        used: i32,
    },
}

impl State {
    pub fn name(&self) -> &'static str {
        match self {
            State::Held { .. } => "held",
            State::Scheduled { .. } => "scheduled",
            State::Ready { .. } => "ready",
            State::Running { .. } => "running",
            State::Dead { .. } => "dead",
        }
    }
}

/// What replaces a job's payload, and the attempts it was given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checkpoint {
    pub json: Option<String>,
    pub bytes: Option<String>,
    pub extra: i32,
}

/// A lease of a job's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub runner: RunnerNo,
    pub claim: i64,
    pub until: Time,
}

#[derive(Debug, Clone)]
pub struct Job {
    pub what: What,
    pub spawned_at: Time,
    /// Its place among the ordered jobs.
    pub number: u32,
    pub state: State,
    /// Attempt, time and text.
    pub errors: Vec<(i32, Time, String)>,
    pub checkpoint: Option<Checkpoint>,
    pub lease: Option<Lease>,
    /// When it was last moved, by the number of the step.
    pub moved_in: usize,
    /// When it was last written to at all.
    pub written_in: usize,
    pub spawned_in: usize,
}

#[derive(Debug, Clone)]
pub struct Runner {
    pub beat: i64,
    pub first_claim: i64,
    pub until: Time,
    pub since: Time,
}

/// The whole queue.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    pub jobs: BTreeMap<JobNo, Job>,
    pub runners: BTreeMap<RunnerNo, Runner>,
    /// Jobs that ended in a transaction with a snapshot of its own, and what they left behind.
    pub leftovers: Vec<JobNo>,
    pub left_checkpoints: BTreeMap<JobNo, Checkpoint>,
    /// When the jobs were spawned that have left something.
    pub left_by: BTreeMap<JobNo, Time>,
    pub left_leases: BTreeMap<JobNo, Lease>,
    pub counts: BTreeMap<(String, String, String), i64>,
    pub counted_at: Option<Time>,
    next_number: u32,
    /// The clock, and the number of the step.
    pub now: Time,
    pub step: usize,
    /// The call comes from a transaction with a snapshot of its own.
    pub has_snapshot: bool,
}

impl Queue {
    fn job(&mut self, id: JobNo) -> &mut Job {
        self.jobs.get_mut(&id).expect("the job is there")
    }

    /// What was done after the step `since` is there for others from the step `now` on: a snapshot in between has not seen it.
    pub fn becomes_visible(&mut self, since: usize, now: usize) {
        for job in self.jobs.values_mut() {
            for done_in in [&mut job.moved_in, &mut job.written_in, &mut job.spawned_in] {
                if *done_in > since {
                    *done_in = now;
                }
            }
        }
    }

    fn move_to(&mut self, id: JobNo, state: State) {
        let step = self.step;
        let job = self.job(id);
        job.state = state;
        (job.moved_in, job.written_in) = (step, step);
    }

    /// Takes its place among the ready ones. A caller with a snapshot leaves that to a runner, unless the job has a line.
    fn make_ready(&mut self, id: JobNo, used: i32) {
        let state = if self.has_snapshot && !self.job(id).what.ordered {
            State::Scheduled {
                due: Due::At(self.now),
                used,
            }
        } else {
            State::Ready { used }
        };
        self.move_to(id, state);
    }

    fn forget(&mut self, id: JobNo) {
        let job = self.jobs.remove(&id).expect("the job is there");
        if self.has_snapshot {
            self.leftovers.push(id);
            self.left_by.insert(id, job.spawned_at);
            if let Some(checkpoint) = job.checkpoint {
                self.left_checkpoints.insert(id, checkpoint);
            }
            if let Some(lease) = job.lease {
                self.left_leases.insert(id, lease);
            }
        } else {
            self.left_checkpoints.remove(&id);
            self.left_leases.remove(&id);
        }
    }

    /// Spawns all or none; returns the ids that were taken.
    pub fn spawn(&mut self, new: &[NewJob]) -> BTreeSet<JobNo> {
        let mut ids = BTreeSet::new();
        let taken: BTreeSet<JobNo> = new
            .iter()
            .filter(|(id, ..)| self.jobs.contains_key(id) || !ids.insert(*id))
            .map(|(id, ..)| *id)
            .collect();
        if !taken.is_empty() {
            return taken;
        }
        for (id, what, delay, commit_interval) in new {
            self.next_number += 1;
            let job = Job {
                what: what.clone(),
                spawned_at: self.now,
                number: self.next_number,
                state: State::Ready { used: 0 },
                errors: Vec::new(),
                checkpoint: None,
                lease: None,
                moved_in: self.step,
                written_in: self.step,
                spawned_in: self.step,
            };
            self.jobs.insert(*id, job);
            match commit_interval {
                Some(interval) => self.move_to(
                    *id,
                    State::Held {
                        until: self.now + interval,
                        due: self.now + delay,
                    },
                ),
                None if *delay > 0 => self.schedule(*id, self.now + delay, 0),
                None => self.make_ready(*id, 0),
            }
        }
        BTreeSet::new()
    }

    fn schedule(&mut self, id: JobNo, due: Time, used: i32) {
        self.move_to(
            id,
            State::Scheduled {
                due: Due::At(due),
                used,
            },
        );
    }

    /// Commits held jobs whose interval is not over.
    pub fn commit(&mut self, ids: &[JobNo]) -> BTreeSet<JobNo> {
        let mut committed = BTreeSet::new();
        for &id in ids {
            let Some(State::Held { until, due }) = self.jobs.get(&id).map(|job| job.state.clone()) else {
                continue;
            };
            if until > self.now {
                committed.insert(id);
                if due > self.now {
                    self.schedule(id, due, 0);
                } else {
                    self.make_ready(id, 0);
                }
            }
        }
        committed
    }

    /// Removes jobs in whatever state they are.
    pub fn cancel(&mut self, ids: &[JobNo]) -> BTreeSet<JobNo> {
        let there: BTreeSet<JobNo> = ids
            .iter()
            .filter(|id| self.jobs.contains_key(id))
            .copied()
            .collect();
        for &id in &there {
            self.forget(id);
        }
        there
    }

    pub fn requeue(&mut self, ids: &[JobNo]) -> BTreeSet<JobNo> {
        let dead = self.dead_among(ids);
        for &id in &dead {
            self.make_ready(id, 0);
        }
        dead
    }

    pub fn discard(&mut self, ids: &[JobNo]) -> BTreeSet<JobNo> {
        let dead = self.dead_among(ids);
        for &id in &dead {
            self.forget(id);
        }
        dead
    }

    fn dead_among(&self, ids: &[JobNo]) -> BTreeSet<JobNo> {
        let is_dead =
            |id: &JobNo| matches!(self.jobs.get(id).map(|job| &job.state), Some(State::Dead { .. }));
        ids.iter().copied().filter(is_dead).collect()
    }

    // Runners.

    pub fn register(&mut self, runner: RunnerNo, lease: Time) {
        let until = self.now + lease;
        let since = self.now;
        self.runners.insert(
            runner,
            Runner {
                beat: 0,
                first_claim: 0,
                until,
                since,
            },
        );
    }

    pub fn renew(&mut self, runner: RunnerNo, lease: Time) -> bool {
        let now = self.now;
        match self.runners.get_mut(&runner) {
            Some(r) if r.until > now => {
                r.beat += 1;
                r.until = now + lease;
                true
            }
            _ => false,
        }
    }

    /// What a runner holds, as (job, claim).
    pub fn running_of(&self, runner: RunnerNo) -> Vec<Token> {
        let held = |(id, job): (&JobNo, &Job)| match job.state {
            State::Running { runner: r, claim, .. } if r == runner => Some((*id, claim)),
            _ => None,
        };
        self.jobs.iter().filter_map(held).collect()
    }

    /// Those of these tokens that are valid, each once.
    fn valid(&self, runner: RunnerNo, tokens: &[Token]) -> BTreeSet<Token> {
        let running = self.running_of(runner);
        tokens
            .iter()
            .copied()
            .filter(|token| running.contains(token))
            .collect()
    }

    /// Compares what a runner holds with what it runs: lost, failed.
    pub fn audit(&mut self, runner: RunnerNo, holds: &[Token], before: i64) -> (Vec<JobNo>, BTreeSet<JobNo>) {
        let running = self.running_of(runner);
        let lost = holds
            .iter()
            .filter(|token| !running.contains(token))
            .map(|(id, _)| *id)
            .collect();
        let Some(row) = self.runners.get_mut(&runner) else {
            return (lost, BTreeSet::new());
        };
        let first = holds
            .iter()
            .map(|(_, claim)| *claim)
            .chain([before])
            .min()
            .unwrap_or(before);
        let strays: Vec<Token> = running
            .into_iter()
            .filter(|token| token.1 >= row.first_claim && token.1 < before && !holds.contains(token))
            .collect();
        row.first_claim = row.first_claim.max(first);
        let text = "lost by its runner: the answer to a claim or the outcome did not arrive";
        for token in &strays {
            self.end_attempt(*token, text, false);
        }
        (lost, strays.into_iter().map(|(id, _)| id).collect())
    }

    /// Gives back what a runner holds and removes it.
    pub fn unregister(&mut self, runner: RunnerNo) -> usize {
        let running = self.running_of(runner);
        for (id, _) in &running {
            self.give_back(*id, 0);
        }
        self.runners.remove(&runner);
        running.len()
    }

    fn give_back(&mut self, id: JobNo, delay: Time) {
        let State::Running { attempt, .. } = self.job(id).state else {
            unreachable!("BUG: it runs");
        };
        self.job(id).lease = None;
        self.left_leases.remove(&id);
        if delay > 0 {
            self.schedule(id, self.now + delay, attempt - 1);
        } else {
            self.make_ready(id, attempt - 1);
        }
    }

    /// Ends the attempts of runners that are expired at these beats: how many runners, how many jobs.
    pub fn reap(&mut self, beats: &[(RunnerNo, i64)]) -> (i32, i32) {
        let mut reaped = (0, 0);
        for (runner, beat) in beats {
            let now = self.now;
            if self
                .runners
                .get(runner)
                .is_some_and(|r| r.until <= now && r.beat == *beat)
            {
                for token in self.running_of(*runner) {
                    self.end_attempt(
                        token,
                        "lease over: the runner stopped without giving the job back",
                        true,
                    );
                    reaped.1 += 1;
                }
                self.runners.remove(runner);
                reaped.0 += 1;
            }
        }
        reaped
    }

    /// Ends the attempts of jobs whose own lease is over.
    pub fn reap_jobs(&mut self) -> i32 {
        let now = self.now;
        let is_over = |(id, job): (&JobNo, &Job)| {
            let lease = job.lease.as_ref()?;
            (lease.until <= now).then_some((*id, lease.claim))
        };
        let over: Vec<Token> = self.jobs.iter().filter_map(is_over).collect();
        for token in &over {
            self.end_attempt(*token, "lease over: the job outlived the lease of its own", true);
        }
        i32::try_from(over.len()).expect("few")
    }

    /// One attempt that has failed: back off, ready at once, or dead.
    fn end_attempt(&mut self, (id, _): Token, error: &str, at_once: bool) {
        let now = self.now;
        self.left_leases.remove(&id);
        let job = self.job(id);
        let State::Running { attempt, .. } = job.state else {
            unreachable!("BUG: it runs");
        };
        job.lease = None;
        job.errors.push((attempt, now, clip(error)));
        if job.errors.len() > 20 {
            job.errors.remove(0);
        }
        let extra = job.checkpoint.as_ref().map_or(0, |c| c.extra);
        if attempt >= job.what.max_attempts + extra {
            self.move_to(
                id,
                State::Dead {
                    at: now,
                    used: attempt,
                },
            );
        } else if at_once {
            self.make_ready(id, attempt);
        } else {
            let doubled = job.what.backoff << (attempt - 1).min(20);
            let wait = doubled.min(job.what.max_backoff.max(job.what.backoff));
            let due = Due::Between(now + wait, now + wait + wait / 10);
            self.move_to(id, State::Scheduled { due, used: attempt });
        }
    }

    // Jobs that run.

    pub fn complete(&mut self, runner: RunnerNo, tokens: &[Token]) -> BTreeSet<JobNo> {
        let valid = self.valid(runner, tokens);
        for (id, _) in &valid {
            self.forget(*id);
        }
        valid.into_iter().map(|(id, _)| id).collect()
    }

    /// Fails running jobs, the nth of which has the nth error: failed, dead.
    pub fn fail(
        &mut self,
        runner: RunnerNo,
        tokens: &[Token],
        errors: &[String],
    ) -> (BTreeSet<JobNo>, BTreeSet<JobNo>) {
        let valid = self.valid(runner, tokens);
        for token in &valid {
            let nth = tokens.iter().position(|t| t == token).expect("it is one of them");
            self.end_attempt(*token, &errors[nth], false);
        }
        let failed: BTreeSet<JobNo> = valid.into_iter().map(|(id, _)| id).collect();
        let ids: Vec<JobNo> = failed.iter().copied().collect();
        (failed, self.dead_among(&ids))
    }

    pub fn release(&mut self, runner: RunnerNo, tokens: &[Token], delay: Time) -> BTreeSet<JobNo> {
        let valid = self.valid(runner, tokens);
        for (id, _) in &valid {
            self.give_back(*id, delay);
        }
        valid.into_iter().map(|(id, _)| id).collect()
    }

    pub fn checkpoint(&mut self, runner: RunnerNo, token: Token, new: &Checkpoint, keep_alive: Time) -> bool {
        if self.valid(runner, &[token]).is_empty() {
            return false;
        }
        let step = self.step;
        // Of an earlier job of the same id.
        self.left_checkpoints.remove(&token.0);
        let job = self.job(token.0);
        job.written_in = step;
        let checkpoint = job.checkpoint.get_or_insert_default();
        checkpoint.json = new.json.clone().or(checkpoint.json.take());
        checkpoint.bytes = new.bytes.clone().or(checkpoint.bytes.take());
        checkpoint.extra += new.extra;
        if keep_alive > 0 {
            self.keep_alive(runner, token, keep_alive);
        }
        true
    }

    pub fn keep_alive(&mut self, runner: RunnerNo, token: Token, duration: Time) -> bool {
        if self.valid(runner, &[token]).is_empty() {
            return false;
        }
        let (until, step) = (self.now + duration, self.step);
        let job = self.job(token.0);
        job.written_in = step;
        job.lease = Some(Lease {
            runner,
            claim: token.1,
            until,
        });
        self.left_leases.remove(&token.0);
        true
    }

    /// Whether a job may start now: it is ready, and first in its line if it has one.
    pub fn may_start(&self, id: JobNo) -> bool {
        let Some(job) = self.jobs.get(&id) else {
            return false;
        };
        let in_line = |other: &&Job| {
            other.what.ordered
                && other.what.channel == job.what.channel
                && !matches!(other.state, State::Dead { .. })
        };
        matches!(job.state, State::Ready { .. })
            && (!job.what.ordered
                || self
                    .jobs
                    .values()
                    .filter(in_line)
                    .all(|other| other.number >= job.number && !matches!(other.state, State::Running { .. })))
    }

    /// Starts a job that a claim has chosen. Returns its attempt.
    pub fn start(&mut self, id: JobNo, runner: RunnerNo, claim: i64, own_lease: Option<Time>) -> i32 {
        let State::Ready { used } = self.job(id).state else {
            unreachable!("BUG: it may start");
        };
        let attempt = used + 1;
        self.move_to(
            id,
            State::Running {
                runner,
                claim,
                attempt,
            },
        );
        self.job(id).lease = None;
        if let Some(duration) = own_lease {
            self.keep_alive(runner, (id, claim), duration);
        }
        attempt
    }

    // Time.

    /// Makes due jobs ready, removes held ones that are over: how many, how many, and when the next is due.
    pub fn promote(&mut self, max: usize) -> (usize, usize, Option<Time>) {
        let now = self.now;
        let mut due = self.due_times();
        due.retain(|(at, _)| *at <= now);
        due.truncate(max);
        for (_, id) in &due {
            let State::Scheduled { used, .. } = self.job(*id).state else {
                unreachable!("BUG: it is scheduled");
            };
            self.make_ready(*id, used);
        }
        let is_over = |(id, job): (&JobNo, &Job)| match job.state {
            State::Held { until, .. } if until <= now => Some((until, *id)),
            _ => None,
        };
        let mut over: Vec<(Time, JobNo)> = self.jobs.iter().filter_map(is_over).collect();
        over.sort_unstable();
        over.truncate(max);
        for (_, id) in &over {
            self.forget(*id);
        }
        for id in self.leftovers.drain(..max.min(self.leftovers.len())) {
            self.left_checkpoints.remove(&id);
            self.left_leases.remove(&id);
        }
        let next = self.due_times().first().map(|(at, _)| (at - now).max(0));
        (due.len(), over.len(), next)
    }

    fn due_times(&self) -> Vec<(Time, JobNo)> {
        let at = |(id, job): (&JobNo, &Job)| match job.state {
            State::Scheduled { due: Due::At(at), .. } => Some((at, *id)),
            _ => None,
        };
        let mut due: Vec<(Time, JobNo)> = self.jobs.iter().filter_map(at).collect();
        due.sort_unstable();
        due
    }

    pub fn count(&self) -> BTreeMap<(String, String, String), i64> {
        let mut counts = BTreeMap::new();
        for job in self.jobs.values() {
            let (name, args) = job.what.channel;
            let key = (name.to_owned(), args.to_owned(), job.state.name().to_owned());
            *counts.entry(key).or_default() += 1;
        }
        counts
    }

    pub fn refresh_counts(&mut self) {
        if self.counted_at.is_none_or(|at| at <= self.now - 4 * SECOND) {
            let fresh = self.count();
            // Few jobs, and the same as before: whoever asks counts them himself.
            if fresh != self.counts {
                self.counts = fresh;
                self.counted_at = Some(self.now);
            }
        }
    }

    /// What anybody is told who asks for counts.
    pub fn counts(&self) -> BTreeMap<(String, String, String), i64> {
        match self.counted_at {
            Some(at) if at > self.now - 10 * SECOND => self.counts.clone(),
            _ => self.count(),
        }
    }

    /// Every row there should be, one line each, as `seen.sql` writes them.
    pub fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        let text = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
        let write_checkpoint = |id: &JobNo, c: &Checkpoint| {
            format!(
                "checkpoint {id}: {}, {}, {} extra",
                text(&c.json),
                text(&c.bytes),
                c.extra
            )
        };
        let write_lease = |id: &JobNo, l: &Lease| {
            format!(
                "lease {id}: runner {}, claim {}, until {}",
                l.runner, l.claim, l.until
            )
        };
        for (id, job) in &self.jobs {
            let What {
                name,
                channel: (channel_name, channel_args),
                ordered,
                max_attempts,
                backoff,
                max_backoff,
                json,
                bytes,
            } = &job.what;
            let ordered_as_in_sql = if *ordered { "t" } else { "f" };
            lines.insert(format!(
                "job {id}: {name} in {channel_name}/{channel_args}, ordered {ordered_as_in_sql}, {max_attempts} attempts, backoff {backoff} to {max_backoff}, spawned at {}, {}, {}",
                job.spawned_at,
                text(json),
                text(bytes)
            ));
            lines.insert(match &job.state {
                State::Held { until, due } => format!("held {id}: until {until}, due {due}"),
                State::Scheduled {
                    due: Due::At(at),
                    used,
                } => format!("scheduled {id}: at {at}, {used} used"),
                State::Scheduled { due, used } => format!("scheduled {id}: {due:?}, {used} used"),
                State::Ready { used } => format!("ready {id}: {used} used"),
                State::Running {
                    runner,
                    claim,
                    attempt,
                } => {
                    format!("running {id}: runner {runner}, claim {claim}, attempt {attempt}")
                }
                State::Dead { at, used } => format!("dead {id}: at {at}, {used} used"),
            });
            for (nth, (attempt, at, error)) in job.errors.iter().enumerate() {
                lines.insert(format!(
                    "error {} of {id}: attempt {attempt} at {at}: {error}",
                    nth + 1
                ));
            }
            lines.extend(job.checkpoint.as_ref().map(|c| write_checkpoint(id, c)));
            lines.extend(job.lease.as_ref().map(|l| write_lease(id, l)));
            if *ordered {
                let before = |other: &&Job| {
                    other.what.ordered && other.what.channel == job.what.channel && other.number <= job.number
                };
                lines.insert(format!(
                    "place of {id}: {}",
                    self.jobs.values().filter(before).count()
                ));
            }
        }
        lines.extend(self.leftovers.iter().map(|id| format!("leftover: {id}")));
        lines.extend(
            self.left_checkpoints
                .iter()
                .map(|(id, c)| write_checkpoint(id, c)),
        );
        lines.extend(self.left_leases.iter().map(|(id, l)| write_lease(id, l)));
        for (runner, row) in &self.runners {
            lines.insert(format!(
                "runner {runner}: beat {}, first claim {}, until {}, since {}, a model's",
                row.beat, row.first_claim, row.until, row.since
            ));
        }
        for ((name, args, state), jobs) in &self.counts {
            lines.insert(format!("count {name}/{args} {state}: {jobs}"));
        }
        lines.insert(match self.counted_at {
            Some(at) => format!("counted at {at}"),
            None => "counted at no time".to_owned(),
        });
        lines
    }
}

/// At most 8 KiB of an error are kept.
fn clip(error: &str) -> String {
    if error.len() <= 8192 {
        return error.to_owned();
    }
    format!("{} … {}", &error[..2040], &error[error.len() - 4..])
}
