//! Ordered channels: one at a time, in the order of the spawns that were committed.

use super::session::{Session, assert_sound, waits_for_a_lock};
use crate::support::queue;

#[tokio::test]
async fn jobs_of_one_batch_run_in_the_order_of_the_array() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    session
        .run("select mq_spawn_all(array(select mq_new_id() from generate_series(1, 8)),
                array(select 'n' || g from generate_series(1, 8) as g), array_fill(''::text, a), array_fill(''::text, a),
                array_fill(true, a), array_fill(4, a), array_fill(0::bigint, a), array_fill(0::bigint, a),
                array_fill(0::bigint, a), array_fill(null::bigint, a), array_fill(null::text, a), array_fill(null::bytea, a))
              from (select array[8]) as s (a)")
        .await;
    let mut order = Vec::new();
    while let Some((id, claim)) = session.claim_one(&[]).await {
        assert_eq!(session.claim_one(&[]).await, None, "one at a time");
        order.push(
            session
                .one::<String>(&format!("select name from mq_jobs where id = '{id}'"))
                .await,
        );
        assert_eq!(session.complete(&[id], claim).await, [id]);
    }
    assert_eq!(order, ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"]);
    assert_sound(&mut session).await;
    db.close().await;
}

#[tokio::test]
async fn two_spawners_of_one_channel_do_not_wait_for_each_other() {
    let db = queue().await;
    let (mut first, mut second, mut runner) = (
        Session::open(&db).await,
        Session::open(&db).await,
        Session::runner(&db).await,
    );
    first.run("begin").await;
    let early = first.spawn_ordered("job", "a").await;
    let late = second.spawn_ordered("job", "a").await;
    // The later number was committed first: overlapping spawns may run either way.
    let (claimed, claim) = runner.claim_one(&["job"]).await.expect("a job");
    assert_eq!(claimed, late);
    first.run("commit").await;
    assert_eq!(
        runner.claim_one(&["job"]).await,
        None,
        "one valid claim at a time"
    );
    assert_eq!(runner.complete(&[late], claim).await, [late]);
    assert_eq!(runner.claim_one(&["job"]).await.expect("a job").0, early);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_spawn_that_commits_while_the_head_completes_is_not_stuck() {
    let db = queue().await;
    let (mut runner, mut claimer, mut spawner) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
    );
    let head = runner.spawn_ordered("job", "a").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("a job");
    spawner.run("begin").await;
    let next = spawner.spawn_ordered("job", "a").await;
    runner.run("begin").await;
    // The completion does not see the next in line, which comes and uses up its own turn before the completion is visible.
    assert_eq!(runner.complete(&[head], claim).await, [head]);
    spawner.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await, None);
    runner.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, next);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn a_spawn_of_another_name_that_commits_while_the_head_completes_is_not_stuck() {
    let db = queue().await;
    let (mut runner, mut claimer, mut spawner) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
    );
    let head = runner.spawn_ordered("rare", "a").await;
    let (_, claim) = runner.claim_one(&["rare"]).await.expect("a job");
    spawner.run("begin").await;
    let next = spawner.spawn_ordered("job", "a").await;
    runner.run("begin").await;
    // The completion does not see the next in line, so it gives a turn under its own name only, which nobody may know any more.
    // The next has its own, and keeps it for as long as the completion is open.
    assert_eq!(runner.complete(&[head], claim).await, [head]);
    spawner.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await, None);
    runner.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, next);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn a_job_of_another_name_that_is_first_in_line_while_a_later_one_is_released_is_not_stuck() {
    let db = queue().await;
    let (mut runner, mut claimer, mut spawner) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
    );
    spawner.run("begin").await;
    let early = spawner.spawn_ordered("job", "a").await;
    let late = runner.spawn_ordered("rare", "a").await;
    let (_, claim) = runner.claim_one(&["rare"]).await.expect("a job");
    spawner.run("commit").await;
    // The turn of the earlier one is used up while the later one runs, which is waited for.
    assert_eq!(claimer.claim_one(&["job"]).await, None);
    assert!(runner.release(late, claim).await);
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, early);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn a_spawn_of_another_name_that_commits_while_a_held_head_is_cancelled_is_not_stuck() {
    let db = queue().await;
    let (mut both, mut claimer, mut canceller) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
    );
    let head: uuid::Uuid = canceller
        .one("select mq_spawn('rare', channel_args => 'a', ordered => true, commit_interval => '1 hour')")
        .await;
    canceller.run("begin").await;
    assert!(canceller.cancel(head).await.expect("a cancellation"));
    let next = claimer.spawn_ordered("job", "a").await;
    // The head seems to wait for its commit, but somebody has it locked.
    assert_eq!(both.claim_one(&["job", "rare"]).await, None);
    canceller.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, next);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn two_claimers_that_see_different_heads_start_one_job() {
    let db = queue().await;
    let (mut first, mut second, mut spawner) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
    );
    spawner.run("begin").await;
    spawner.spawn_ordered("job", "a").await;
    let visible = first.spawn_ordered("job", "a").await;
    first.run("begin").await;
    assert_eq!(first.claim_one(&["job"]).await.expect("a job").0, visible);
    spawner.run("commit").await;
    // A lower number is the head now, but the channel is in the first claimer's hands: its turn stays.
    let claimed = second.claim(10, &["job"]).await;
    assert!(claimed.ids.is_empty());
    first.run("rollback").await;
    assert!(second.claim_one(&["job"]).await.is_some());
    let running: i64 = second.one("select count(*) from mq_running").await;
    assert_eq!(running, 1);
    assert_sound(&mut second).await;
    db.close().await;
}

#[tokio::test]
async fn a_delayed_a_held_and_a_backing_off_head_hold_the_others_back() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    for (channel, head) in [
        ("delayed", "delay => '1 hour'"),
        ("held", "commit_interval => '1 hour'"),
        ("failed", "backoff => '1 hour'"),
    ] {
        let first: uuid::Uuid = session
            .one(&format!(
                "select mq_spawn('job', channel_args => '{channel}', ordered => true, {head})"
            ))
            .await;
        let second = session.spawn_ordered("job", channel).await;
        if channel == "failed" {
            let (claimed, claim) = session.claim_one(&["job"]).await.expect("the head");
            assert_eq!(claimed, first);
            session.fail(first, claim).await;
        }
        assert_eq!(session.claim_one(&["job"]).await, None, "{channel}");
        match channel {
            "held" => {
                session
                    .run(&format!("select mq_commit(array['{first}'::uuid])"))
                    .await;
            }
            _ => {
                session
                    .run("update mq_scheduled set due_at = '-infinity'; select mq_promote(10)")
                    .await;
            }
        }
        for expected in [first, second] {
            let (claimed, claim) = session.claim_one(&["job"]).await.expect("a job");
            assert_eq!(claimed, expected, "{channel}");
            session.complete(&[claimed], claim).await;
        }
    }
    assert_sound(&mut session).await;
    db.close().await;
}

#[tokio::test]
async fn a_dead_job_does_not_block_its_channel_and_comes_back_to_its_place() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let first: uuid::Uuid = session
        .one("select mq_spawn('job', channel_args => 'a', ordered => true, retries => 0)")
        .await;
    let second = session.spawn_ordered("job", "a").await;
    let third = session.spawn_ordered("job", "a").await;
    let (_, claim) = session.claim_one(&["job"]).await.expect("the head");
    session.fail(first, claim).await;
    let (claimed, claim) = session.claim_one(&["job"]).await.expect("the channel goes on");
    assert_eq!(claimed, second);
    session
        .run(&format!("select mq_requeue(array['{first}'::uuid])"))
        .await;
    assert_eq!(session.claim_one(&["job"]).await, None, "one at a time");
    session.complete(&[second], claim).await;
    for expected in [first, third] {
        let (claimed, claim) = session.claim_one(&["job"]).await.expect("a job");
        assert_eq!(claimed, expected);
        session.complete(&[claimed], claim).await;
    }
    assert_sound(&mut session).await;
    db.close().await;
}

#[tokio::test]
async fn a_head_of_an_unknown_name_waits_for_a_runner_that_knows_it() {
    let db = queue().await;
    let (mut ours, mut theirs) = (Session::runner(&db).await, Session::runner(&db).await);
    let head = ours.spawn_ordered("theirs", "a").await;
    let next = ours.spawn_ordered("ours", "a").await;
    assert_eq!(ours.claim_one(&["ours"]).await, None);
    let (claimed, claim) = theirs.claim_one(&["theirs"]).await.expect("the head");
    assert_eq!(claimed, head);
    assert_eq!(ours.claim_one(&["ours"]).await, None);
    theirs.complete(&[head], claim).await;
    assert_eq!(ours.claim_one(&["ours"]).await.expect("the next").0, next);
    assert_sound(&mut ours).await;
    db.close().await;
}

#[tokio::test]
async fn an_open_spawner_does_not_hold_up_completions_or_other_claims() {
    let db = queue().await;
    let (mut runner, mut spawner) = (Session::runner(&db).await, Session::open(&db).await);
    let first = runner.spawn_ordered("job", "a").await;
    let second = runner.spawn_ordered("job", "a").await;
    spawner.run("begin").await;
    spawner.spawn_ordered("job", "a").await;
    for expected in [first, second] {
        let (claimed, claim) = runner.claim_one(&["job"]).await.expect("a job");
        assert_eq!(claimed, expected);
        assert_eq!(runner.complete(&[claimed], claim).await, [claimed]);
    }
    spawner.run("commit").await;
    assert!(runner.claim_one(&["job"]).await.is_some());
    db.close().await;
}

#[tokio::test]
async fn a_channel_is_not_stuck_when_the_next_in_line_is_cancelled_while_the_head_completes() {
    let db = queue().await;
    let (mut runner, mut claimer, mut operator, mut pause) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
        Session::open(&db).await,
    );
    // A session that asks for it stops between finding the next in line and writing its turn.
    operator
        .run(
            "alter function mq_give_turns(bigint[], bigint[], bigint[]) rename to mq_give_turns_at_last;
             create function mq_give_turns(names bigint[], channel_names bigint[], channels bigint[]) returns void
               language plpgsql set search_path from current
             as $$ begin
               if current_setting('test.pause', true) = 'on' then
                 perform pg_advisory_xact_lock(42);
               end if;
               perform mq_give_turns_at_last(names, channel_names, channels);
             end $$",
        )
        .await;
    let head = runner.spawn_ordered("job", "a").await;
    let second = runner.spawn_ordered("job", "a").await;
    let third = runner.spawn_ordered("job", "a").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("the head");
    pause.run("select pg_advisory_lock(42)").await;
    runner.run("set test.pause = on").await;
    let pid = runner.pid().await;
    let completing = async { runner.complete(&[head], claim).await };
    let cancelling = async {
        waits_for_a_lock(&mut pause, pid).await;
        assert!(operator.cancel(second).await.unwrap());
        // The turn that the cancellation gave is of no use yet.
        assert_eq!(claimer.claim_one(&["job"]).await, None);
        pause.run("select pg_advisory_unlock(42)").await;
    };
    let (completed, ()) = tokio::join!(completing, cancelling);
    assert_eq!(completed, [head]);
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, third);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn a_job_spawned_while_a_head_of_an_unknown_name_is_cancelled_is_not_stuck() {
    for state in ["", ", delay => '1 hour'", ", commit_interval => '1 hour'"] {
        let db = queue().await;
        let (mut runner, mut operator) = (Session::runner(&db).await, Session::open(&db).await);
        let head: uuid::Uuid = runner
            .one(&format!("select mq_spawn('nobody''s', ordered => true{state})"))
            .await;
        operator.run("begin").await;
        assert!(operator.cancel(head).await.unwrap());
        // Too late for the cancellation to see it.
        let next = runner.spawn_ordered("ours", "").await;
        assert_eq!(runner.claim_one(&["ours"]).await, None);
        operator.run("commit").await;
        assert_eq!(
            runner.claim_one(&["ours"]).await.expect("not stuck").0,
            next,
            "{state}"
        );
        assert_sound(&mut runner).await;
        db.close().await;
    }
}

#[tokio::test]
async fn a_head_that_is_being_cancelled_does_not_hold_up_other_channels() {
    let db = queue().await;
    let (mut runner, mut operator) = (Session::runner(&db).await, Session::open(&db).await);
    let head = runner.spawn_ordered("job", "a").await;
    let second = runner.spawn_ordered("job", "a").await;
    runner.spawn_ordered("job", "a").await;
    let (mut others, mut claimed) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        others.push(runner.spawn("job", "b").await);
    }
    operator.run("begin").await;
    assert!(operator.cancel(head).await.unwrap());
    for _ in 0..3 {
        claimed.push(
            runner
                .claim_one(&["job"])
                .await
                .expect("a job of another channel")
                .0,
        );
    }
    assert_eq!(claimed, others);
    assert_eq!(runner.claim_one(&["job"]).await, None);
    operator.run("commit").await;
    assert_eq!(
        runner.claim_one(&["job"]).await.expect("the next in line").0,
        second
    );
    assert_sound(&mut runner).await;
    db.close().await;
}
