//! Functions that are asked for one job, beside many in every state. Its plans are made when the tables are known to be empty, and are all
//! that a connection has until somebody analyzes them.

use super::reach::{most_buffers, queue_at_rest};
use super::session::Session;

/// Enough to fill more than 150 pages of each index.
const BACKLOG: usize = 40_000;

/// What may be read on the way to one's own rows, whatever else there is: deeper indexes, catalogs, and what runs.
const MORE: i64 = 130;

/// So many jobs are asked for one by one, so that some lie before the backlog, and some behind.
const JOBS: usize = 8;

/// What a function is asked for, given the name of a job and its token: `RUNNER`, `ID` and `CLAIM`.
struct Asked {
    what: &'static str,
    /// Makes a job of the name `NAME`.
    spawn: &'static str,
    /// Whether it runs when the function is asked.
    runs: bool,
    statement: &'static str,
}

const READY: &str = "select mq_spawn('NAME', channel_args => 'NAME')";
const ORDERED: &str =
    "select mq_spawn('NAME', channel_args => 'NAME', ordered => true) from generate_series(1, 2)";
const DELAYED: &str = "select mq_spawn('NAME', delay => '1 hour')";
const HELD: &str = "select mq_spawn('NAME', commit_interval => '1 hour')";
const DEAD: &str = "select mq_spawn('NAME', delay => '1 hour');
    set enable_nestloop = off;
    with moved as (delete from mq_scheduled as s using mq_jobs as j where j.id = s.id and j.name = 'NAME' returning s.id)
    insert into mq_dead (id, died_at, attempts) select id, now(), 5 from moved;
    reset enable_nestloop";

/// Has failed once, and is due.
const RETRIED: &str = "select mq_spawn('NAME', delay => '1 hour');
    set enable_nestloop = off;
    update mq_scheduled as s set attempts = 1, due_at = now() from mq_jobs as j where j.id = s.id and j.name = 'NAME';
    reset enable_nestloop";

const ALL: [Asked; 26] = [
    asked(
        "claim",
        READY,
        false,
        "select * from mq_claim_by_name('RUNNER', CLAIM, 10, 1000000, array[mq_key('NAME')], false, null, false)",
    ),
    asked(
        "claim by channel",
        READY,
        false,
        "select * from mq_claim_by_channel('RUNNER', CLAIM, 10, 1000000, array[mq_key('NAME')], array[mq_key('')], 0, null, false)",
    ),
    asked(
        "claim of an ordered job",
        ORDERED,
        false,
        "select * from mq_claim_by_name('RUNNER', CLAIM, 10, 1000000, array[mq_key('NAME')], false, null, false)",
    ),
    asked(
        "completion",
        READY,
        true,
        "select * from mq_complete('RUNNER', array['ID'::uuid], array[CLAIM], true)",
    ),
    asked(
        "completion of an ordered job",
        ORDERED,
        true,
        "select * from mq_complete('RUNNER', array['ID'::uuid], array[CLAIM], false)",
    ),
    asked(
        "next in line",
        ORDERED,
        true,
        "select * from mq_complete_and_claim('RUNNER', array['ID'::uuid], array[CLAIM], CLAIM + 1000000, array[mq_key('NAME')], '{}')",
    ),
    asked(
        "failure",
        READY,
        true,
        "select * from mq_fail('RUNNER', array['ID'::uuid], array[CLAIM], array['no'], false)",
    ),
    asked(
        "failure of an ordered job",
        ORDERED,
        true,
        "select * from mq_fail('RUNNER', array['ID'::uuid], array[CLAIM], array['no'], false)",
    ),
    asked(
        "failure with a wait",
        READY,
        true,
        "select * from mq_fail_as('RUNNER', array['ID'::uuid], array[CLAIM], array['no'], array[false], array[3600000000], array[false], false)",
    ),
    asked(
        "death",
        READY,
        true,
        "select * from mq_fail_as('RUNNER', array['ID'::uuid], array[CLAIM], array['no'], array[true], array[null::bigint], array[false], false)",
    ),
    asked(
        "release",
        READY,
        true,
        "select mq_release('RUNNER', array['ID'::uuid], array[CLAIM], '1 hour')",
    ),
    asked(
        "release of what is ready at once",
        READY,
        true,
        "select mq_release('RUNNER', array['ID'::uuid], array[CLAIM], '0')",
    ),
    asked(
        "failure with a linear backoff",
        READY,
        true,
        "select * from mq_fail_as('RUNNER', array['ID'::uuid], array[CLAIM], array['no'], array[false], array[null::bigint], array[true], false)",
    ),
    asked("retry that is due", RETRIED, false, "select * from mq_promote(1)"),
    asked(
        "keep-alive",
        READY,
        true,
        "select mq_keep_alive('RUNNER', 'ID', CLAIM, '1 hour')",
    ),
    asked(
        "lease of a job that is over",
        READY,
        true,
        "select mq_reap_jobs() from mq_keep_alive('RUNNER', 'ID', CLAIM, '-1 hour')",
    ),
    asked(
        "checkpoint",
        READY,
        true,
        "select * from mq_checkpoint('RUNNER', 'ID', CLAIM, '1', null, 1, '1 hour')",
    ),
    asked("commit", HELD, false, "select mq_commit(array['ID'::uuid])"),
    asked(
        "cancellation of a delayed job",
        DELAYED,
        false,
        "select mq_cancel(array['ID'::uuid])",
    ),
    asked(
        "cancellation of a job in line",
        ORDERED,
        false,
        "select mq_cancel(array['ID'::uuid])",
    ),
    asked(
        "cancellation of a ready job",
        READY,
        false,
        "select mq_cancel(array['ID'::uuid])",
    ),
    asked(
        "cancellation of a held job",
        HELD,
        false,
        "select mq_cancel(array['ID'::uuid])",
    ),
    asked(
        "cancellation of a dead job",
        DEAD,
        false,
        "select mq_cancel(array['ID'::uuid])",
    ),
    asked(
        "cancellation of a running job",
        READY,
        true,
        "select mq_cancel(array['ID'::uuid])",
    ),
    asked("requeue", DEAD, false, "select mq_requeue(array['ID'::uuid])"),
    asked("discard", DEAD, false, "select mq_discard(array['ID'::uuid])"),
];

const fn asked(what: &'static str, spawn: &'static str, runs: bool, statement: &'static str) -> Asked {
    Asked {
        what,
        spawn,
        runs,
        statement,
    }
}

/// The most buffers that each function reads in this round.
async fn buffers_of_each(session: &mut Session, round: usize) -> Vec<(&'static str, i64)> {
    let runner = session.runner.to_string();
    let mut all = Vec::new();
    for (place, asked) in ALL.iter().enumerate() {
        let claim_of = |nth: usize| (round * 1000 + place * 10 + nth).to_string();
        let name_of = |nth: usize| format!("job {place} {nth}");
        let mut ids = Vec::new();
        for nth in 1..=JOBS {
            session.run(&asked.spawn.replace("NAME", &name_of(nth))).await;
            if asked.runs {
                let claim = ALL[0]
                    .statement
                    .replace("RUNNER", &runner)
                    .replace("CLAIM", &claim_of(nth))
                    .replace("NAME", &name_of(nth));
                session.run(&claim).await;
            }
            let id = "select j.id::text from mq_jobs as j where j.name = 'NAME' order by j.id limit 1";
            ids.push(session.one::<String>(&id.replace("NAME", &name_of(nth))).await);
        }
        let statement = |nth: usize| {
            asked
                .statement
                .replace("RUNNER", &runner)
                .replace("ID", &ids[nth - 1])
                .replace("CLAIM", &claim_of(nth))
                .replace("NAME", &name_of(nth))
        };
        all.push((asked.what, most_buffers(session, statement).await));
    }
    all
}

/// Many jobs in each state, of names that nobody asks for.
async fn pile_up(session: &mut Session) {
    let spawn = |name: &str, ordered: bool, delay: &str, held: &str| {
        format!(
            "select mq_spawn_all(array(select mq_new_id() from generate_series(1, a[1])), array_fill('{name}'::text, a),
               array_fill(''::text, a), array(select n::text from generate_series(1, a[1]) as n), array_fill({ordered}, a),
               array_fill(4, a), array_fill(0::bigint, a), array_fill(0::bigint, a), array_fill({delay}::bigint, a),
               array_fill({held}::bigint, a), array_fill(null::text, a), array_fill(null::bytea, a))
             from (select array[{BACKLOG}]) as s (a)"
        )
    };
    for (name, ordered, delay, held) in [
        ("ready", false, "0", "null"),
        ("in line", true, "0", "null"),
        ("delayed", false, "3600000000", "null"),
        ("held", false, "0", "3600000000"),
        ("running", false, "0", "null"),
        ("dead", false, "3600000000", "null"),
    ] {
        session.run(&spawn(name, ordered, delay, held)).await;
    }
    // A cancellation walks over what runs, which is never much.
    session.claim(100, &["running"]).await;
    let others = session.runner;
    session
        .run(&format!(
            "set enable_nestloop = off;
             insert into mq_checkpoints select j.id, j.spawned_at, '1', null, 0 from mq_jobs as j where j.name = 'running';
             insert into mq_leases select r.id, r.runner, r.claim, now() + interval '1 hour' from mq_running as r where r.runner = '{others}';
             insert into mq_leases select j.id, gen_random_uuid(), 1, now() + interval '1 hour' from mq_jobs as j where j.name = 'delayed';
             with moved as (delete from mq_scheduled as s using mq_jobs as j where j.id = s.id and j.name = 'dead' returning s.id)
             insert into mq_dead select id, now(), 5, null from moved;
             insert into mq_errors (id, attempt, failed_at, error) select d.id, 5, now(), 'no' from mq_dead as d"
        ))
        .await;
}

#[tokio::test]
async fn no_function_reads_the_jobs_it_is_not_asked_for() {
    let db = queue_at_rest().await;
    let mut session = Session::runner(&db).await;
    let mut others = Session::runner(&db).await;
    buffers_of_each(&mut session, 1).await;
    session.run("select mq_clear_all()").await;
    session.run("vacuum analyze").await;
    // Twice: the first of these rounds makes the plans.
    buffers_of_each(&mut session, 2).await;
    let before = buffers_of_each(&mut session, 3).await;
    pile_up(&mut others).await;
    let after = buffers_of_each(&mut session, 4).await;
    let grown: Vec<_> = before
        .into_iter()
        .zip(after)
        .filter(|((_, before), (_, after))| *after >= before + MORE)
        .collect();
    assert!(grown.is_empty(), "alone, and beside a backlog: {grown:?}");
    db.close().await;
}
