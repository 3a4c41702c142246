//! A session: one connection, and the runner it may be.

use devpg::{TestDb, eventually};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use uuid::Uuid;

/// One connection to the database, with a runner's token in its hand.
pub struct Session {
    connection: PgConnection,
    pid: i32,
    pub runner: Uuid,
    claims: i64,
    after_channel: i64,
}

/// What a claim took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub ids: Vec<Uuid>,
    pub attempts: Vec<i32>,
    pub more: bool,
    pub expired: bool,
    pub claim: i64,
}

impl Session {
    /// Opens a session that is no runner yet.
    pub async fn open(db: &TestDb) -> Session {
        let mut connection = db.connect().await;
        let pid = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .expect("the session's process");
        Session {
            connection,
            pid,
            runner: Uuid::new_v4(),
            claims: 0,
            after_channel: 0,
        }
    }

    /// Opens the session of a runner with a lease of an hour.
    pub async fn runner(db: &TestDb) -> Session {
        let mut session = Session::open(db).await;
        session.register("1 hour").await;
        session
    }

    /// Registers this session's runner.
    pub async fn register(&mut self, lease: &str) {
        sqlx::query("select mq_register($1, $2::text::interval, 'a test')")
            .bind(self.runner)
            .bind(lease)
            .execute(&mut self.connection)
            .await
            .expect("a registration");
    }

    /// Runs a statement and returns how many buffers it read.
    pub async fn buffers(&mut self, statement: &str) -> i64 {
        let plan: sqlx::types::JsonValue = self
            .one(&format!("explain (analyze, buffers, format json) {statement}"))
            .await;
        let node = &plan[0]["Plan"];
        let buffers = |kind: &str| node[kind].as_i64().expect("a number of buffers");
        buffers("Shared Hit Blocks") + buffers("Shared Read Blocks")
    }

    /// Runs statements that return nothing of interest.
    pub async fn run(&mut self, statements: &str) {
        self.try_run(statements)
            .await
            .unwrap_or_else(|error| panic!("`{statements}`: {error}"));
    }

    /// Runs statements that may be refused.
    pub async fn try_run(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        self.connection
            .execute(AssertSqlSafe(statements.to_owned()))
            .await
            .map(drop)
    }

    /// Returns the first column of the first row of a query.
    pub async fn one<T>(&mut self, query: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_one(&mut self.connection)
            .await
            .unwrap_or_else(|error| panic!("`{query}`: {error}"))
            .get(0)
    }

    /// Spawns a job of a name into a channel.
    pub async fn spawn(&mut self, name: &str, channel_args: &str) -> Uuid {
        self.one(&format!(
            "select mq_spawn('{name}', channel_args => '{channel_args}')"
        ))
        .await
    }

    /// Spawns an ordered job of a name into a channel.
    pub async fn spawn_ordered(&mut self, name: &str, channel_args: &str) -> Uuid {
        self.one(&format!(
            "select mq_spawn('{name}', channel_args => '{channel_args}', ordered => true)"
        ))
        .await
    }

    /// Claims up to `max_jobs` of these names (of all, if there are none).
    pub async fn claim(&mut self, max_jobs: i32, names: &[&str]) -> Claimed {
        self.claim_with(max_jobs, names, &[], true).await
    }

    /// Claims with every choice spelled out.
    pub async fn claim_with(
        &mut self,
        max_jobs: i32,
        names: &[&str],
        channel_names: &[&str],
        sweep: bool,
    ) -> Claimed {
        self.claims += 1;
        let by_name = "select ids, attempts, more, expired, $6 as after_channel
             from mq_claim_by_name($1, $2, $3, 1 << 30,
               case when cardinality($4::text[]) > 0 then (select array_agg(mq_key(n)) from unnest($4) as n) end,
               $7, null, false)
             where cardinality($5::text[]) = 0";
        let by_channel = "select ids, attempts, more, expired, c.after_channel
             from mq_claim_by_channel($1, $2, $3, 1 << 30,
               case when cardinality($4::text[]) > 0 then (select array_agg(mq_key(n)) from unnest($4) as n) end,
               (select array_agg(mq_key(n)) from unnest($5::text[]) as n), $6, null, false) as c
             where $7 is not null";
        let row = sqlx::query(if channel_names.is_empty() {
            by_name
        } else {
            by_channel
        })
        .bind(self.runner)
        .bind(self.claims)
        .bind(max_jobs)
        .bind(names)
        .bind(channel_names)
        .bind(self.after_channel)
        .bind(sweep)
        .fetch_one(&mut self.connection)
        .await
        .expect("a claim");
        self.after_channel = row.get("after_channel");
        Claimed {
            ids: row.get("ids"),
            attempts: row.get("attempts"),
            more: row.get("more"),
            expired: row.get("expired"),
            claim: self.claims,
        }
    }

    /// Claims until a job comes, for claims that find only used-up turns first.
    pub async fn claim_one(&mut self, names: &[&str]) -> Option<(Uuid, i64)> {
        loop {
            let claimed = self.claim(1, names).await;
            if let Some(id) = claimed.ids.first() {
                return Some((*id, claimed.claim));
            }
            if !claimed.more {
                return None;
            }
        }
    }

    /// Completes jobs of one claim and returns those that were.
    pub async fn complete(&mut self, ids: &[Uuid], claim: i64) -> Vec<Uuid> {
        self.complete_waiting(ids, claim, true).await
    }

    /// Completes jobs of one claim, waiting for locks or not.
    pub async fn complete_waiting(&mut self, ids: &[Uuid], claim: i64, wait: bool) -> Vec<Uuid> {
        sqlx::query_scalar(
            "select completed from mq_complete($1, $2, array_fill($3::bigint, array[cardinality($2)]), $4)",
        )
        .bind(self.runner)
        .bind(ids)
        .bind(claim)
        .bind(wait)
        .fetch_one(&mut self.connection)
        .await
        .expect("a completion")
    }

    /// Completes jobs of one claim, as the runner does, and claims the next in line; behind those that pause a turn is given.
    pub async fn complete_and_claim(
        &mut self,
        ids: &[Uuid],
        claim: i64,
        names: &[&str],
        pausing: &[Uuid],
    ) -> (Vec<Uuid>, Claimed) {
        self.claims += 1;
        let row = sqlx::query(
            "select completed, next_ids, coalesce(next_attempts, '{}') as attempts, coalesce(work_ids, '{}') as work_ids
             from mq_complete_and_claim($1, $2, array_fill($3::bigint, array[cardinality($2)]), $4,
               case when cardinality($5::text[]) > 0 then (select array_agg(mq_key(n)) from unnest($5) as n) end, $6)",
        )
        .bind(self.runner)
        .bind(ids)
        .bind(claim)
        .bind(self.claims)
        .bind(names)
        .bind(pausing)
        .fetch_one(&mut self.connection)
        .await
        .expect("a completion");
        let next: Vec<Uuid> = row.get("next_ids");
        let work: Vec<Uuid> = row.get("work_ids");
        assert!(next.iter().all(|id| work.contains(id)), "what they are to do");
        let claimed = Claimed {
            ids: next,
            attempts: row.get("attempts"),
            more: false,
            expired: false,
            claim: self.claims,
        };
        (row.get("completed"), claimed)
    }

    /// Fails one job and returns whether the attempt ended here.
    pub async fn fail(&mut self, id: Uuid, claim: i64) -> bool {
        let failed: Vec<Uuid> = sqlx::query_scalar(
            "select failed from mq_fail($1, array[$2], array[$3::bigint], array['no'], true)",
        )
        .bind(self.runner)
        .bind(id)
        .bind(claim)
        .fetch_one(&mut self.connection)
        .await
        .expect("a failure");
        failed == [id]
    }

    /// Gives one job back and returns whether it was ours to give.
    pub async fn release(&mut self, id: Uuid, claim: i64) -> bool {
        let released: Vec<Uuid> =
            sqlx::query_scalar("select mq_release($1, array[$2], array[$3::bigint], '0')")
                .bind(self.runner)
                .bind(id)
                .bind(claim)
                .fetch_one(&mut self.connection)
                .await
                .expect("a release");
        released == [id]
    }

    /// Cancels one job and returns whether it was there.
    pub async fn cancel(&mut self, id: Uuid) -> Result<bool, sqlx::Error> {
        let cancelled: Vec<Uuid> = sqlx::query_scalar("select mq_cancel(array[$1])")
            .bind(id)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(cancelled == [id])
    }

    /// Shows that this session's process waits for a lock, as seen by `observer`.
    pub async fn pid(&self) -> i32 {
        self.pid
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.connection.close().await.expect("a clean end");
    }
}

/// Waits until a process waits for another one's lock.
pub async fn waits_for_a_lock(observer: &mut Session, pid: i32) {
    let observer = tokio::sync::Mutex::new(observer);
    eventually("a session that waits for a lock", async || {
        let waits: bool = observer
            .lock()
            .await
            .one(&format!(
                "select coalesce((select wait_event_type = 'Lock' from pg_stat_activity where pid = {pid}), false)"
            ))
            .await;
        if waits { Ok(()) } else { Err("it does not wait".to_owned()) }
    })
    .await;
}

/// Asserts what is true of every queue at rest: each job row has one state row, and no state row is without its job.
pub async fn assert_sound(session: &mut Session) {
    let unsound: Vec<String> = session
        .one(
            "select coalesce(array_agg(j.id || ': ' || s.states::text), '{}')
             from mq_jobs as j
             cross join lateral (
               select array(
                 select 'ready' from mq_ready_jobs as r where r.id = j.id
                 union all select 'scheduled' from mq_scheduled as r where r.id = j.id
                 union all select 'held' from mq_held as r where r.id = j.id
                 union all select 'running' from mq_running as r where r.id = j.id
                 union all select 'dead' from mq_dead as r where r.id = j.id
               ) as states,
               (select count(*) from mq_line as l where l.id = j.id) as lines
             ) as s
             where not (
               cardinality(s.states) = 1 and s.lines = (case when j.ordered and s.states <> '{dead}' then 1 else 0 end)
               or cardinality(s.states) = 0 and j.ordered and s.lines = 1
             )",
        )
        .await;
    assert!(unsound.is_empty(), "jobs in no state or in several: {unsound:?}");
    let orphans: Vec<String> = session
        .one(
            "select array(
               select s.state || ' ' || s.id from (
                 select 'ready' as state, id from mq_ready_jobs
                 union all select 'scheduled', id from mq_scheduled
                 union all select 'held', id from mq_held
                 union all select 'running', id from mq_running
                 union all select 'dead', id from mq_dead
                 union all select 'line', id from mq_line
                 union all select 'error', id from mq_errors
                 union all select 'checkpoint', id from mq_checkpoints
                 union all select 'lease', id from mq_leases
               ) as s
               where not exists (select from mq_jobs as j where j.id = s.id)
             )",
        )
        .await;
    assert!(orphans.is_empty(), "state rows without a job: {orphans:?}");
}
