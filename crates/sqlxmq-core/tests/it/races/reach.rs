//! What a statement reads: its own rows, however many lie beside them.

use devpg::TestDb;

use super::session::Session;
use crate::support::queue;

/// Enough to fill some hundred pages of an index.
const BACKLOG: usize = 15_000;
/// What may be read on the way to one's own rows, whatever else there is: deeper indexes, catalogs.
const MORE: i64 = 60;

/// A queue whose tables autovacuum leaves alone: it would have statements planned anew while they are measured, which reads catalogs.
pub(super) async fn queue_at_rest() -> TestDb {
    let db = queue().await;
    Session::open(&db)
        .await
        .run(
            "do $$ declare hot regclass; begin
               for hot in select oid from pg_class where relkind = 'r' and relname like 'mq\\_%' loop
                 execute format('alter table %s set (autovacuum_enabled = off)', hot);
               end loop;
             end $$",
        )
        .await;
    db
}

/// Fills channel `c` / `A` with jobs of a name that no runner here knows.
async fn pile_up(session: &mut Session) {
    session
        .run(&format!(
            "select mq_spawn('foreign', channel_name => 'c', channel_args => 'A') from generate_series(1, {BACKLOG})"
        ))
        .await;
}

/// The most buffers that two of these statements read. Keys are hashes: some of eight lie before the backlog, some behind. Two, because
/// one may be planned anew meanwhile: a session that many messages have passed by forgets all it knew of the catalogs.
pub(super) async fn most_buffers(session: &mut Session, statement: impl Fn(usize) -> String) -> i64 {
    let mut all = Vec::new();
    for nth in 1..=8 {
        all.push(session.buffers(&statement(nth)).await);
    }
    all.sort_unstable();
    all[6]
}

#[tokio::test]
async fn a_spawn_into_an_empty_channel_does_not_read_the_backlog_of_others() {
    let db = queue_at_rest().await;
    let mut session = Session::open(&db).await;
    let spawn = |round: &'static str| {
        move |nth| format!("select mq_spawn('foreign', channel_name => 'c', channel_args => '{round} {nth}')")
    };
    most_buffers(&mut session, spawn("warm up")).await;
    let before = most_buffers(&mut session, spawn("before")).await;
    pile_up(&mut session).await;
    let after = most_buffers(&mut session, spawn("after")).await;
    assert!(
        after < before + MORE,
        "{before} buffers at first, {after} beside a backlog"
    );
    db.close().await;
}

/// Spawns that many jobs of each of eight names.
async fn spawn_known(session: &mut Session, ready: usize) {
    session
        .run(&format!(
            "select mq_spawn('known {ready} ' || nth, channel_name => 'c', channel_args => 'few')
             from generate_series(1, 8) as nth, generate_series(1, {ready})"
        ))
        .await;
}

#[tokio::test]
async fn a_claim_by_channel_does_not_read_jobs_of_names_it_does_not_know() {
    let db = queue_at_rest().await;
    let mut session = Session::runner(&db).await;
    let runner = session.runner;
    let claim = |first: usize, ready: usize| {
        move |nth| {
            format!(
                "select * from mq_claim_by_channel('{runner}', {}, 10, 1000, array[mq_key('known {ready} {nth}')], array[mq_key('c')], 0, null, false)",
                first + nth
            )
        }
    };
    // None of that name, and then fewer than there is room for. A claim takes all, so each is preceded by spawns.
    let mut before = Vec::new();
    for ready in 0..=2 {
        spawn_known(&mut session, ready).await;
        most_buffers(&mut session, claim(1000 * ready, ready)).await;
        spawn_known(&mut session, ready).await;
        before.push(most_buffers(&mut session, claim(1000 * ready + 100, ready)).await);
        spawn_known(&mut session, ready).await;
    }
    pile_up(&mut session).await;
    for (ready, before) in before.into_iter().enumerate() {
        let after = most_buffers(&mut session, claim(1000 * ready + 200, ready)).await;
        assert!(
            after < before + MORE,
            "{ready} ready: {before} buffers at first, {after} beside a backlog"
        );
    }
    db.close().await;
}

/// The same for ten channels. To read one of the indexes would be thousands.
const MORE_FOR_TEN: i64 = 500;

#[tokio::test]
async fn a_claim_of_ordered_jobs_does_not_read_the_backlog_after_the_empty_queue_was_analyzed() {
    for names in ["array[mq_key('job')]", "null"] {
        let db = queue_at_rest().await;
        let mut session = Session::open(&db).await;
        let spawn = |jobs: usize, arg: &str| {
            format!(
                "select mq_spawn('job', channel_args => '{arg} ' || n, ordered => true) from generate_series(1, {jobs}) as n"
            )
        };
        // The pages stay, and are known to be empty.
        session.run(&spawn(3000, "gone")).await;
        session.run("select mq_clear_all()").await;
        session.run("vacuum analyze").await;

        let mut session = Session::runner(&db).await;
        let runner = session.runner;
        let claim = |first: usize| {
            move |nth| {
                format!(
                    "select * from mq_claim_by_name('{runner}', {}, 10, 1000000, {names}, false, null, false)",
                    first + nth
                )
            }
        };
        session.run(&spawn(200, "few")).await;
        most_buffers(&mut session, claim(100)).await;
        let before = most_buffers(&mut session, claim(200)).await;
        session.run(&spawn(5000, "many")).await;
        let after = most_buffers(&mut session, claim(300)).await;
        assert!(
            after < before + MORE_FOR_TEN,
            "{names}: {before} buffers at first, {after} with a backlog"
        );
        db.close().await;
    }
}

#[tokio::test]
async fn a_claim_of_an_ordered_job_does_not_read_the_unordered_ones_of_its_channel() {
    let db = queue_at_rest().await;
    let mut session = Session::runner(&db).await;
    let runner = session.runner;
    let claim = |first: usize| {
        move |nth| {
            format!(
                "select * from mq_claim_by_name('{runner}', {}, 1, 1000000, array[mq_key('job {nth}')], false, null, false)",
                first + nth
            )
        }
    };
    let ordered = "select mq_spawn('job ' || n, ordered => true) from generate_series(1, 8) as n";
    for first in [100, 200] {
        session.run("select mq_clear_all()").await;
        session.run(ordered).await;
        most_buffers(&mut session, claim(first)).await;
    }
    session.run("select mq_clear_all()").await;
    session.run(ordered).await;
    let before = most_buffers(&mut session, claim(300)).await;
    session.run("select mq_clear_all()").await;
    session.run(ordered).await;
    session
        .run(&format!(
            "select mq_spawn('job ' || 1 + n % 8) from generate_series(1, {BACKLOG}) as n"
        ))
        .await;
    let after = most_buffers(&mut session, claim(400)).await;
    assert!(
        after < before + MORE,
        "{before} buffers at first, {after} beside unordered jobs"
    );
    db.close().await;
}

#[tokio::test]
async fn a_cancellation_of_many_jobs_of_an_ordered_channel_looks_for_its_head_once() {
    let db = queue_at_rest().await;
    let mut session = Session::open(&db).await;
    let mut buffers = Vec::new();
    for jobs in [200, 2000] {
        session
            .run(&format!(
                "select mq_spawn('job', ordered => true) from generate_series(1, {jobs})"
            ))
            .await;
        let ids: Vec<String> = session.one("select array_agg(id::text) from mq_jobs").await;
        let plan: sqlx::types::JsonValue = session
            .one(&format!(
                "explain (analyze, buffers, format json) select mq_cancel('{{{}}}')",
                ids.join(",")
            ))
            .await;
        let all = plan[0]["Plan"]["Shared Hit Blocks"].as_i64().expect("buffers");
        buffers.push(all / jobs);
    }
    assert!(
        buffers[1] < 2 * buffers[0],
        "{} buffers for each of 200 jobs, {} for each of 2,000",
        buffers[0],
        buffers[1]
    );
    db.close().await;
}

/// Claims and completes many jobs in the sight of an older snapshot, which keeps their rows.
async fn leave_behind(session: &mut Session) {
    for _ in 0..30 {
        session
            .run(
                "select mq_spawn_all(array(select mq_new_id() from generate_series(1, 500)), array_fill('job'::text, a), array_fill(''::text, a),
                   array_fill(''::text, a), array_fill(false, a), array_fill(4, a), array_fill(0::bigint, a), array_fill(0::bigint, a),
                   array_fill(0::bigint, a), array_fill(null::bigint, a), array_fill(null::text, a), array_fill(null::bytea, a))
                 from (select array[500]) as s (a)",
            )
            .await;
        let claimed = session.claim(500, &["job"]).await;
        assert_eq!(claimed.ids.len(), 500);
        assert_eq!(session.complete(&claimed.ids, claimed.claim).await.len(), 500);
    }
}

#[tokio::test]
async fn an_audit_and_a_cancellation_do_not_read_what_the_runner_has_long_completed() {
    let db = queue_at_rest().await;
    let (mut session, mut pin) = (Session::runner(&db).await, Session::open(&db).await);
    pin.run("begin isolation level repeatable read; select from mq_jobs")
        .await;
    let runner = session.runner;
    let held = session.spawn("held", "a").await;
    let audit = |before: i64| {
        move |_nth: usize| {
            format!(
                "select * from mq_audit('{runner}', array['{held}'::uuid], array[{before}::bigint], {before} + 1)"
            )
        }
    };
    let cancel = |_nth: usize| "select mq_cancel(array[mq_spawn('other', delay => '1 hour')])".to_owned();
    // The statistics, and with them the plans, are of tables with next to nothing in them.
    let mut before = (0, 0);
    for round in 0..2 {
        let claimed = session.claim(1, &["held"]).await;
        assert_eq!(claimed.ids, [held]);
        session.run("analyze mq_running, mq_runners").await;
        // The first one leaves behind what has been claimed before.
        most_buffers(&mut session, audit(claimed.claim)).await;
        let after = (
            most_buffers(&mut session, audit(claimed.claim)).await,
            most_buffers(&mut session, cancel).await,
        );
        assert!(session.release(held, claimed.claim).await);
        if round == 0 {
            before = after;
            leave_behind(&mut session).await;
        } else {
            assert!(
                after.0 < before.0 + MORE && after.1 < before.1 + MORE,
                "{before:?} buffers at first, {after:?} behind many jobs"
            );
        }
    }
    db.close().await;
}

/// The buffers of a statement that is undone each time, when its plan is there.
async fn buffers_undone(session: &mut Session, statement: &str) -> i64 {
    let mut least = i64::MAX;
    for _ in 0..4 {
        session.run("begin").await;
        least = least.min(session.buffers(statement).await);
        session.run("rollback").await;
    }
    least
}

#[tokio::test]
async fn the_end_of_a_runner_and_a_count_do_not_read_what_it_has_long_completed() {
    let db = queue_at_rest().await;
    let (mut session, mut pin) = (Session::runner(&db).await, Session::open(&db).await);
    pin.run("begin isolation level repeatable read; select from mq_jobs")
        .await;
    let runner = session.runner;
    let held = session.spawn("held", "a").await;
    let statements = [
        format!("select mq_unregister('{runner}')"),
        format!(
            "select * from mq_reap(array['{runner}'::uuid], array[(select i.beat from mq_runners as i where i.runner = '{runner}')])"
        ),
        "select * from mq_count_now()".to_owned(),
    ];
    let mut before = Vec::new();
    for round in 0..2 {
        let claimed = session.claim(1, &["held"]).await;
        assert_eq!(claimed.ids, [held]);
        session.run("analyze mq_running, mq_runners").await;
        // Leaves behind what has been claimed before.
        session
            .run(&format!(
                "select * from mq_audit('{runner}', array['{held}'::uuid], array[{0}::bigint], {0} + 1)",
                claimed.claim
            ))
            .await;
        session
            .run(&format!(
                "update mq_runners set expires_at = now() - interval '1 minute' where runner = '{runner}'"
            ))
            .await;
        // As after a sweep, once all older transactions of the server have ended, those of other tests among them.
        session
            .run("update mq_marks set safe_tag = tag, next_safe_tag = null, safe_after = null")
            .await;
        let mut after = Vec::new();
        for statement in &statements {
            after.push(buffers_undone(&mut session, statement).await);
        }
        session
            .run(&format!(
                "update mq_runners set expires_at = now() + interval '1 hour' where runner = '{runner}'"
            ))
            .await;
        assert!(session.release(held, claimed.claim).await);
        if round == 0 {
            before = after;
            leave_behind(&mut session).await;
        } else {
            assert!(
                before
                    .iter()
                    .zip(&after)
                    .all(|(before, after)| *after < before + MORE),
                "{before:?} buffers at first, {after:?} behind many jobs"
            );
        }
    }
    db.close().await;
}
