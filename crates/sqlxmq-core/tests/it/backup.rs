//! A dump taken while the queue is busy restores to a queue that is whole.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use devpg::{TestDb, eventually, find_bin_dir};
use sqlx::{Connection, Executor, PgConnection, PgPool, raw_sql};

/// Everything that must not be, one row each. A job is in exactly one state; no state is without its job; nobody waits for
/// a turn that was never given.
const BROKEN: &str = "
select 'job ' || j.id || ' is in ' || s.states || ' states' as what
from mq_jobs as j
cross join lateral (
  select
    (select count(*) from mq_ready_jobs as q where q.id = j.id)
    + (select count(*) from mq_scheduled as s where s.id = j.id)
    + (select count(*) from mq_held as h where h.id = j.id)
    + (select count(*) from mq_running as r where r.id = j.id)
    + (select count(*) from mq_dead as d where d.id = j.id) as states,
    exists (select from mq_line as l where l.id = j.id) as in_line,
    exists (select from mq_dead as d where d.id = j.id) as is_dead
) as s
where s.states > 1
  or s.states = 0 and not s.in_line
  or s.in_line and not j.ordered
  or j.ordered and s.in_line = s.is_dead
  or j.ordered and exists (select from mq_ready_jobs as q where q.id = j.id)
union all
select 'state of ' || o.id || ' has no job'
from (
  select id from mq_ready_jobs
  union all select id from mq_scheduled
  union all select id from mq_held
  union all select id from mq_running
  union all select id from mq_dead
  union all select id from mq_line
  union all select id from mq_errors
  union all select id from mq_checkpoints
  union all select id from mq_leases
) as o
where not exists (select from mq_jobs as j where j.id = o.id)
union all
select 'running job ' || r.id || ' has no runner'
from mq_running as r
where not exists (select from mq_runners as i where i.runner = r.runner)
union all
select 'channel ' || l.channel_key || ' has no turn for ' || l.id
from mq_line as l
where l.number = (select min(f.number) from mq_line as f where f.channel_key = l.channel_key)
  and not exists (select from mq_running as r where r.channel_key = l.channel_key)
  and not exists (select from mq_scheduled as s where s.id = l.id)
  and not exists (select from mq_held as h where h.id = l.id)
  and not exists (select from mq_ready as q where q.channel_key = l.channel_key and q.id is null and q.ids is null)
union all
select 'ready row ' || q.position || ' is below the safe mark'
from mq_ready as q
join mq_marks as m on m.name_key = q.name_key and q.tag < m.safe_tag
union all
select 'a place or a number would be given out again'
where (select max(position) from mq_ready) > (select last_value from mq_position)
  or (select max(number) from mq_line) > (select last_value from mq_number)";

/// Runs one of PostgreSQL's own programs. `None`: it is not installed.
fn program(name: &str) -> Option<PathBuf> {
    find_bin_dir()
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file())
}

fn checked(output: std::io::Result<Output>) -> Output {
    let output = output.expect("the program starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

async fn broken(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(BROKEN)
        .fetch_all(pool)
        .await
        .expect("a look at every table")
}

/// Spawns a bit of everything, one transaction after another.
async fn keep_spawning(mut connection: PgConnection, stop: &AtomicBool, done: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        connection
            .execute(raw_sql(
                "select mq_spawn('n' || g % 3, '1', channel_name => 'plain', channel_args => (g % 7)::text, retries => 1,
                   backoff => '10 ms') from generate_series(1, 20) as g;
                 select mq_spawn('o', '1', channel_name => 'line', channel_args => (g % 5)::text, ordered => true, retries => 1,
                   backoff => '10 ms') from generate_series(1, 10) as g;
                 select mq_spawn('d', '1', delay => '50 ms', channel_name => 'later', ordered => g % 2 = 0) from generate_series(1, 4) as g;
                 select mq_spawn('h', '1', commit_interval => '100 ms');
                 select mq_commit(array[mq_spawn('h', '1', commit_interval => '1 minute', ordered => true)]);",
            ))
            .await
            .expect("spawns");
        let mut undone = connection.begin().await.expect("a transaction");
        undone.execute("select mq_spawn('r')").await.expect("a spawn");
        undone.rollback().await.expect("a rollback");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Claims, and completes, fails, releases and check-points what it has.
async fn keep_running(mut connection: PgConnection, number: u64, stop: &AtomicBool, done: &AtomicU64) {
    let runner = uuid::Uuid::from_u128(u128::from(number) + 1);
    sqlx::query("select mq_register($1, '10 minutes', 'a test')")
        .bind(runner)
        .execute(&mut connection)
        .await
        .expect("a runner");
    let mut claim = 0_i64;
    while !stop.load(Ordering::Relaxed) {
        claim += 1;
        let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
            "select c.ids from mq_claim_by_name($1, $2, 20, 1000000, null, $2 % 5 = 0, null, false) as c",
        )
        .bind(runner)
        .bind(claim)
        .fetch_one(&mut connection)
        .await
        .expect("a claim");
        for (nth, statement) in [
            "select from mq_complete($1, $2, array_fill($3, array[cardinality($2)]), true)",
            "select from mq_fail($1, $2, array_fill($3, array[cardinality($2)]), array_fill('no'::text, array[cardinality($2)]), true)",
            "select from mq_release($1, $2, array_fill($3, array[cardinality($2)]), '0')",
            "select from unnest($2) as i cross join lateral mq_checkpoint($1, i, $3, '2', null, 1, null)",
            "select mq_complete($1, $2, array_fill($3, array[cardinality($2)]), true), mq_promote(100)",
        ]
        .into_iter()
        .enumerate()
        {
            // The fourth part is check-pointed and completed; one claim in ten is left running.
            let mine: Vec<_> = ids.iter().skip(nth.min(3)).step_by(4).copied().collect();
            if claim % 10 != 0 {
                sqlx::query(statement)
                    .bind(runner)
                    .bind(mine)
                    .bind(claim)
                    .execute(&mut connection)
                    .await
                    .expect(statement);
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_dump_under_load_restores_to_a_consistent_queue() {
    let (Some(pg_dump), Some(psql)) = (program("pg_dump"), program("psql")) else {
        eprintln!("skipped: there is no pg_dump beside the server");
        return;
    };
    let busy = TestDb::create(sqlxmq_core::migrator()).await;
    let (stop, spawned, ran) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let dumping = async {
        let mut dumps = Vec::new();
        for _ in 0..3 {
            let (spawned_before, ran_before) = (spawned.load(Ordering::Relaxed), ran.load(Ordering::Relaxed));
            eventually("some load", async || {
                let news = (
                    spawned.load(Ordering::Relaxed) - spawned_before,
                    ran.load(Ordering::Relaxed) - ran_before,
                );
                if news.0 > 10 && news.1 > 30 {
                    Ok(())
                } else {
                    Err(format!("{news:?}"))
                }
            })
            .await;
            let (url, pg_dump) = (busy.url().to_owned(), pg_dump.clone());
            let ran_before = ran.load(Ordering::Relaxed);
            let dump = tokio::task::spawn_blocking(move || {
                Command::new(pg_dump)
                    .arg("--no-owner")
                    .arg("-d")
                    .arg(url)
                    .output()
            })
            .await
            .expect("pg_dump");
            assert!(
                ran.load(Ordering::Relaxed) > ran_before,
                "nothing happened while it dumped"
            );
            dumps.push(checked(dump).stdout);
        }
        stop.store(true, Ordering::Relaxed);
        dumps
    };
    let (dumps, ..) = futures_util::join!(
        dumping,
        keep_spawning(busy.connect().await, &stop, &spawned),
        keep_spawning(busy.connect().await, &stop, &spawned),
        keep_running(busy.connect().await, 0, &stop, &ran),
        keep_running(busy.connect().await, 1, &stop, &ran),
        keep_running(busy.connect().await, 2, &stop, &ran),
    );
    assert_eq!(broken(busy.pool()).await, [""; 0], "the original");
    busy.close().await;

    for dump in dumps {
        let restored = TestDb::create_empty().await;
        let (url, psql) = (restored.url().to_owned(), psql.clone());
        let file = std::env::temp_dir().join(format!("sqlxmq-dump-{}.sql", uuid::Uuid::new_v4()));
        std::fs::write(&file, dump).expect("a place for the dump");
        let output = Command::new(psql)
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&file)
            .arg("-d")
            .arg(url)
            .output();
        std::fs::remove_file(&file).expect("the dump");
        checked(output);
        assert_eq!(broken(restored.pool()).await, [""; 0], "restored");
        sqlxmq_core::migrate(restored.pool())
            .await
            .expect("an up-to-date queue");
        run_to_the_end(&restored).await;
        restored.close().await;
    }
}

/// Ends the runners of the original, then runs every job that is left. What remains is dead.
async fn run_to_the_end(db: &TestDb) {
    let mut connection = db.connect().await;
    let jobs: i64 = sqlx::query_scalar(
        "select count(*) from mq_jobs as j
         where not exists (select from mq_dead as d where d.id = j.id)
           and not exists (select from mq_held as h where h.id = j.id)",
    )
    .fetch_one(&mut connection)
    .await
    .expect("the jobs");
    assert!(jobs > 0, "nothing was going on");
    connection
        .execute(raw_sql(
            "update mq_runners set expires_at = clock_timestamp();
             select mq_reap(array_agg(runner), array_agg(beat)) from mq_runners_seen();
             select mq_register('00000000-0000-0000-0000-00000000000a', '10 minutes', 'a test');",
        ))
        .await
        .expect("the end of the runners");
    let mut claim = 0_i64;
    eventually("every job to end", async || {
        // A claim takes one job of each ordered channel.
        for _ in 0..100 {
            claim += 1;
            run_what_is_ready(&mut connection, claim)
                .await
                .map_err(|error| error.to_string())?;
        }
        let left: i64 =
            sqlx::query_scalar("select (select count(*) from mq_jobs) - (select count(*) from mq_dead)")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| error.to_string())?;
        if left > 0 {
            Err(format!("{left} of {jobs} jobs are left"))
        } else {
            Ok(())
        }
    })
    .await;
    assert_eq!(broken(db.pool()).await, [""; 0], "at the end");
    connection.close().await.expect("goodbye");
}

async fn run_what_is_ready(connection: &mut PgConnection, claim: i64) -> Result<(), sqlx::Error> {
    sqlx::query("select mq_promote(100000)")
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "select mq_complete('00000000-0000-0000-0000-00000000000a', c.ids, array_fill($1, array[cardinality(c.ids)]), true)
         from mq_claim_by_name('00000000-0000-0000-0000-00000000000a', $1, 10000, 1000000000, null, true, null, false) as c",
    )
    .bind(claim)
    .execute(connection)
    .await?;
    Ok(())
}
