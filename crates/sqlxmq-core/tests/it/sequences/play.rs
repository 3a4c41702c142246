//! Plays a sequence on the database and on the model, and compares every row after each step.

use super::{
    answer::{Answer, Code, ask},
    calls::{Call, call},
    model::{Due, JobNo, Queue, State, Time, Token},
    snapshot,
    step::{Level, Step},
};
use crate::laboratory::run;
use devpg::TestDb;
use sqlx::{Connection, PgConnection};
use std::collections::BTreeSet;

/// Who plays, with two sessions of one database.
pub struct Player {
    connection: PgConnection,
    /// The session of [`Step::TakeSnapshot`].
    other: PgConnection,
    game: Game,
}

/// How far one sequence has come.
#[derive(Default)]
pub struct Game {
    /// As the session sees it, in its transaction.
    pub queue: Queue,
    transaction: Option<Transaction>,
    /// The queue at the time when the other session took its snapshot.
    snapshot: Option<Queue>,
    /// All tokens that were ever handed out, also by claims that were rolled back.
    pub tokens: Vec<Token>,
    pub last_job: JobNo,
    pub last_runner: u32,
    pub last_claim: i64,
    pub after_channel: String,
    pub now: Time,
    step: usize,
    /// What was sent, to be read by somebody.
    pub script: Vec<String>,
}

/// What there was before, to come back to.
struct Transaction {
    level: Level,
    before: Queue,
    savepoints: Vec<Queue>,
    failed: bool,
}

impl Player {
    pub async fn new(db: &TestDb) -> Player {
        let mut connection = db.connect().await;
        run(&mut connection, include_str!("seen.sql")).await;
        Player {
            connection,
            other: db.connect().await,
            game: Game::default(),
        }
    }

    pub async fn leave(self) {
        for connection in [self.connection, self.other] {
            connection.close().await.expect("a clean end");
        }
    }

    /// Plays a sequence from an empty queue on; `Err` has the script and what is wrong after it.
    pub async fn play(&mut self, steps: &[Step], played: &mut dyn FnMut()) -> Result<(), String> {
        self.game = Game::default();
        run(&mut self.connection, "rollback").await;
        run(&mut self.other, "rollback").await;
        run(&mut self.connection, "call empty()").await;
        for lease_s in [250, 100] {
            self.step(&Step::Register { lease_s }).await?;
        }
        for step in steps {
            played();
            let result = self.step(step).await;
            if let Err(complaint) = result {
                return Err(format!("{}\n\n{complaint}", self.game.script.join(";\n")));
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        self.game.step += 1;
        if let Step::Wait { seconds } = step {
            self.game.now += Time::from(*seconds) * super::model::SECOND;
        }
        let level = self.game.transaction.as_ref().map(|t| t.level);
        let queue = &mut self.game.queue;
        (queue.now, queue.step) = (self.game.now, self.game.step);
        queue.has_snapshot = !matches!(level, None | Some(Level::ReadCommitted));
        match step {
            Step::Wait { seconds } => {
                let sql = format!(
                    "select setval('laboratory_clock', (select last_value from laboratory_clock) + {seconds} * 1000000)"
                );
                self.game.script.push(sql.clone());
                self.set_clock(&sql).await?;
            }
            Step::Begin(level) => self.begin(*level).await?,
            Step::Savepoint => self.savepoint().await?,
            Step::RollBackToSavepoint => self.roll_back_to_savepoint().await?,
            Step::End { commit } => self.end(*commit).await?,
            Step::TakeSnapshot(level) => {
                self.send_other(&format!("begin isolation level {}", level.sql()))
                    .await
                    .map_err(unexpected)?;
                self.send_other("select from mq_jobs limit 1")
                    .await
                    .map_err(unexpected)?;
                // What the session's own transaction has done is not in it.
                let committed = self
                    .game
                    .transaction
                    .as_ref()
                    .map_or(&self.game.queue, |t| &t.before);
                let mut committed = committed.clone();
                committed.step = self.game.step;
                self.game.snapshot = Some(committed);
            }
            Step::InSnapshot { step, commit } => self.in_snapshot(step, *commit).await?,
            step => self.call(step).await?,
        }
        if self.game.transaction.as_ref().is_some_and(|t| t.failed) {
            return Ok(());
        }
        self.compare().await
    }

    /// By the other session, if a transaction has failed here.
    async fn set_clock(&mut self, sql: &str) -> Result<(), String> {
        let failed = self.game.transaction.as_ref().is_some_and(|t| t.failed);
        let connection = if failed {
            &mut self.other
        } else {
            &mut self.connection
        };
        ask(connection, sql).await.map(drop).map_err(unexpected)
    }

    async fn send(&mut self, sql: &str) -> Result<Answer, Code> {
        self.game.script.push(sql.to_owned());
        ask(&mut self.connection, sql).await
    }

    async fn send_other(&mut self, sql: &str) -> Result<Answer, Code> {
        self.game.script.push(format!("/* the other session */ {sql}"));
        ask(&mut self.other, sql).await
    }

    // Transactions.

    async fn begin(&mut self, level: Level) -> Result<(), String> {
        self.send(&format!("begin isolation level {}", level.sql()))
            .await
            .map_err(unexpected)?;
        self.game.transaction = Some(Transaction {
            level,
            before: self.game.queue.clone(),
            savepoints: Vec::new(),
            failed: false,
        });
        Ok(())
    }

    async fn savepoint(&mut self) -> Result<(), String> {
        let transaction = self.game.transaction.as_mut().expect("a transaction");
        if !transaction.failed {
            transaction.savepoints.push(self.game.queue.clone());
            let nth = transaction.savepoints.len();
            self.send(&format!("savepoint s{nth}"))
                .await
                .map_err(unexpected)?;
        }
        Ok(())
    }

    async fn roll_back_to_savepoint(&mut self) -> Result<(), String> {
        let transaction = self.game.transaction.as_mut().expect("a transaction");
        let nth = transaction.savepoints.len();
        if let Some(before) = transaction.savepoints.pop() {
            transaction.failed = false;
            self.game.queue = before;
            self.send(&format!("rollback to savepoint s{nth}"))
                .await
                .map_err(unexpected)?;
            self.send(&format!("release savepoint s{nth}"))
                .await
                .map_err(unexpected)?;
        }
        self.game.queue.now = self.game.now;
        Ok(())
    }

    async fn end(&mut self, commit: bool) -> Result<(), String> {
        let transaction = self.game.transaction.take().expect("a transaction");
        let sql = if commit { "commit" } else { "rollback" };
        self.send(sql).await.map_err(unexpected)?;
        if !commit || transaction.failed {
            self.game.queue = transaction.before;
        } else {
            self.game
                .queue
                .becomes_visible(transaction.before.step, self.game.step);
        }
        self.game.queue.now = self.game.now;
        Ok(())
    }

    // Calls.

    async fn call(&mut self, step: &Step) -> Result<(), String> {
        if self.game.transaction.as_ref().is_some_and(|t| t.failed) {
            return Ok(());
        }
        for Call { sql, refused, check } in call(&mut self.game, step) {
            match (self.send(&sql).await, refused) {
                (Ok(answer), None) => check(&mut self.game, &answer)?,
                (Ok(_), Some(code)) => return Err(format!("it was not refused with {code}")),
                (Err(error), Some(code)) if error.starts_with(code) => {
                    if let Some(transaction) = &mut self.game.transaction {
                        transaction.failed = true;
                    }
                    return Ok(());
                }
                (Err(error), _) => return Err(unexpected(error)),
            }
        }
        Ok(())
    }

    async fn in_snapshot(&mut self, step: &Step, commit: bool) -> Result<(), String> {
        let then = self.game.snapshot.take().expect("a snapshot");
        let before = self.game.queue.clone();
        self.game.queue.has_snapshot = true;
        let call = snapshot::call(&mut self.game, step, then);
        let result = match self.send_other(&call.sql).await {
            Ok(answer) => (call.check)(&mut self.game, &answer),
            Err(error) if error.starts_with("40001") && call.may_be_refused => {
                self.game.queue = before.clone();
                Ok(())
            }
            Err(error) => Err(unexpected(error)),
        };
        let sql = if commit { "commit" } else { "rollback" };
        let ended = self.send_other(sql).await.map_err(unexpected);
        if !commit {
            self.game.queue = before;
        }
        self.game.queue.has_snapshot = false;
        result.and(ended.map(drop))
    }

    // Comparing.

    async fn compare(&mut self) -> Result<(), String> {
        let seen = ask(&mut self.connection, "select seen()")
            .await
            .map_err(unexpected)?;
        let seen: Vec<String> = seen.rows();
        self.learn_jitter(&seen)?;
        let set: BTreeSet<String> = seen.iter().cloned().collect();
        let wanted = self.game.queue.lines();
        let mut complaints: Vec<String> = Vec::new();
        complaints.extend(wanted.difference(&set).map(|line| format!("missing:    {line}")));
        complaints.extend(set.difference(&wanted).map(|line| format!("unexpected: {line}")));
        if set.len() < seen.len() {
            complaints.push("a row is there twice".to_owned());
        }
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(complaints.join("\n"))
        }
    }

    /// A backoff may be a tenth longer; how long it is, is seen.
    fn learn_jitter(&mut self, seen: &[String]) -> Result<(), String> {
        for (id, job) in &mut self.game.queue.jobs {
            let State::Scheduled {
                due: Due::Between(first, last),
                used,
            } = job.state
            else {
                continue;
            };
            let start = format!("scheduled {id}: at ");
            let line = seen.iter().find_map(|line| line.strip_prefix(&start));
            let at = line
                .and_then(|line| line.split(',').next())
                .and_then(|at| at.parse().ok());
            match at {
                Some(at) if (first..=last).contains(&at) => {
                    job.state = State::Scheduled {
                        due: Due::At(at),
                        used,
                    }
                }
                at => return Err(format!("job {id} backs off until {at:?}, not {first} to {last}")),
            }
        }
        Ok(())
    }
}

fn unexpected(error: Code) -> String {
    format!("it fails: {error}")
}

impl Level {
    fn sql(self) -> &'static str {
        match self {
            Level::ReadCommitted => "read committed",
            Level::RepeatableRead => "repeatable read",
            Level::Serializable => "serializable",
        }
    }
}
