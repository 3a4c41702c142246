//! Plays one meeting of two transactions on a stage.

use super::schedule::{Meeting, Side, Step};
use crate::laboratory::run;
use devpg::TestDb;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, raw_sql};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How long a statement may take that waits for nobody. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether a statement waits.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A database with jobs in every state, the sessions of two transactions, and one that looks on.
pub struct Stage {
    first: Actor,
    second: Actor,
    observer: PgConnection,
}

/// One session, which may be in the middle of a statement.
struct Actor {
    connection: Option<PgConnection>,
    pid: i32,
    asked: Option<JoinHandle<(PgConnection, Answer)>>,
    to_say: VecDeque<Step>,
    /// The jobs that its function has returned, if it is one that ends jobs.
    ended: Vec<Uuid>,
    /// Its transaction is not committed in the end.
    failed: bool,
}

/// The jobs that a statement has ended, or an error.
type Answer = Result<Vec<Uuid>, sqlx::Error>;

impl Actor {
    fn of(pid: i32) -> Actor {
        Actor {
            connection: None,
            pid,
            asked: None,
            to_say: VecDeque::new(),
            ended: Vec::new(),
            failed: false,
        }
    }

    async fn enter(db: &TestDb) -> Actor {
        let mut connection = db.connect().await;
        run(&mut connection, "set deadlock_timeout = '50ms'").await;
        let pid = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .expect("the session's process");
        Actor {
            connection: Some(connection),
            ..Actor::of(pid)
        }
    }

    /// How many answers it has to get yet.
    fn left(&self) -> usize {
        self.to_say.len() + usize::from(self.asked.is_some())
    }

    fn take(&mut self, side: Side, answer: Answer, meeting: &Meeting) -> Result<(), String> {
        match answer {
            Ok(ended) => {
                self.ended.extend(ended);
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                let code = error
                    .as_database_error()
                    .and_then(|e| e.code().map(|c| c.into_owned()));
                match code {
                    Some(code) if meeting.errors.contains(&code.as_str()) => Ok(()),
                    code => Err(format!(
                        "{side:?} fails with {}: {error}",
                        code.unwrap_or_default()
                    )),
                }
            }
        }
    }
}

impl Stage {
    /// Sets the stage in an empty laboratory.
    pub async fn set(db: &TestDb) -> Stage {
        let mut observer = db.connect().await;
        run(&mut observer, include_str!("stage.sql")).await;
        Stage {
            first: Actor::enter(db).await,
            second: Actor::enter(db).await,
            observer,
        }
    }

    /// The same stage with new sessions.
    pub async fn reopen(db: &TestDb, stage: Stage) -> Stage {
        let Stage {
            first,
            second,
            mut observer,
        } = stage;
        for pid in [first.pid, second.pid] {
            let _ended: bool = sqlx::query_scalar("select pg_terminate_backend($1, 5000)")
                .bind(pid)
                .fetch_one(&mut observer)
                .await
                .expect("the end of a session");
        }
        Stage {
            first: Actor::enter(db).await,
            second: Actor::enter(db).await,
            observer,
        }
    }

    /// Closes the sessions.
    pub async fn leave(self) {
        let actors = [self.first.connection, self.second.connection];
        for connection in actors.into_iter().flatten().chain([self.observer]) {
            connection.close().await.expect("a clean end");
        }
    }

    /// Plays a meeting from the beginning; `Err` says what went wrong.
    pub async fn play(&mut self, meeting: &Meeting) -> Result<(), String> {
        run(&mut self.observer, "call restore()").await;
        for actor in [&mut self.first, &mut self.second] {
            *actor = Actor {
                connection: actor.connection.take(),
                ..Actor::of(actor.pid)
            };
        }
        for step in &meeting.steps {
            self.actor(step.side()).to_say.push_back(step.clone());
            self.go_on(meeting).await?;
        }
        let started = Instant::now();
        while self.go_on(meeting).await? {
            if started.elapsed() > PATIENCE {
                return Err("the two transactions do not come to an end".to_owned());
            }
        }
        self.both_ended()?;
        self.sound().await
    }

    fn actor(&mut self, side: Side) -> &mut Actor {
        match side {
            Side::First => &mut self.first,
            Side::Second => &mut self.second,
        }
    }

    /// Lets both say what they have to, as far as they need not wait for each other. Returns whether there is more.
    async fn go_on(&mut self, meeting: &Meeting) -> Result<bool, String> {
        let mut seen = (usize::MAX, usize::MAX);
        // One that goes on may be what the other has waited for.
        while seen != (self.first.left(), self.second.left()) {
            seen = (self.first.left(), self.second.left());
            for side in [Side::First, Side::Second] {
                while self.answered(side, meeting).await? {
                    let Some(step) = self.actor(side).to_say.pop_front() else {
                        break;
                    };
                    self.say(side, &step, meeting);
                }
            }
        }
        Ok(seen != (0, 0))
    }

    /// Sends a statement. In a transaction that has failed there is nothing more to say.
    fn say(&mut self, side: Side, step: &Step, meeting: &Meeting) {
        let function = match side {
            Side::First => meeting.first,
            Side::Second => meeting.second,
        };
        let actor = self.actor(side);
        let ends = function.ends && matches!(step, Step::Call(..));
        actor.failed |= matches!(step, Step::Rollback(_));
        let statement = if actor.failed {
            "rollback".to_owned()
        } else {
            step.statement()
        };
        let mut connection = actor.connection.take().expect("a session that has been answered");
        actor.asked = Some(tokio::task::spawn_local(async move {
            let rows = raw_sql(AssertSqlSafe(statement)).fetch_all(&mut connection).await;
            if rows.is_err() {
                // A commit that fails says so before it lets go of its locks.
                connection.ping().await.expect("the session is ready again");
            }
            let answer = rows.map(|rows| {
                if ends {
                    rows.iter().flat_map(|row| row.get::<Vec<Uuid>, _>(0)).collect()
                } else {
                    Vec::new()
                }
            });
            (connection, answer)
        }));
    }

    /// Returns whether a session has been answered, as soon as it has, or waits for the other one.
    async fn answered(&mut self, side: Side, meeting: &Meeting) -> Result<bool, String> {
        let (pid, other) = match side {
            Side::First => (self.first.pid, self.second.pid),
            Side::Second => (self.second.pid, self.first.pid),
        };
        let started = Instant::now();
        loop {
            let Some(asked) = &mut self.actor(side).asked else {
                return Ok(true);
            };
            if let Ok(answer) = tokio::time::timeout(LOOK_AGAIN, asked).await {
                let (connection, answer) = answer.expect("no panic");
                let actor = self.actor(side);
                actor.asked = None;
                actor.connection = Some(connection);
                actor.take(side, answer, meeting)?;
                return Ok(true);
            }
            // A cancellation that finds a job in nobody's reach looks again, and sleeps in between.
            let (blocked, sleeps): (bool, bool) = sqlx::query_as(
                "select $2 = any (pg_blocking_pids($1)),
                   exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')",
            )
            .bind(pid)
            .bind(other)
            .fetch_one(&mut self.observer)
            .await
            .expect("a look");
            if blocked && !meeting.may_wait(side) {
                return Err(format!("{side:?} waits for the other"));
            }
            if blocked || sleeps {
                return Ok(false);
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("{side:?} neither is answered nor waits for the other"));
            }
        }
    }

    /// No job was ended by both.
    fn both_ended(&self) -> Result<(), String> {
        if self.first.failed || self.second.failed {
            return Ok(());
        }
        match self.first.ended.iter().find(|id| self.second.ended.contains(id)) {
            Some(id) => Err(format!("{id} was ended by both")),
            None => Ok(()),
        }
    }

    /// The tables agree with each other, and whatever is left is completed by somebody else.
    async fn sound(&mut self) -> Result<(), String> {
        let unsound: Vec<String> = sqlx::query_scalar("select unsound()")
            .fetch_all(&mut self.observer)
            .await
            .expect("the complaints");
        if !unsound.is_empty() {
            return Err(unsound.join("\n"));
        }
        let left: Vec<String> = sqlx::query_scalar("select drain()")
            .fetch_one(&mut self.observer)
            .await
            .map_err(|error| format!("the drain fails: {error}"))?;
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join("\n"))
        }
    }
}
