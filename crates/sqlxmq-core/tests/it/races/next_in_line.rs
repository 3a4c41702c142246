//! Completions that start the next in line of an ordered channel, and who is in their way.

use uuid::Uuid;

use super::session::{Session, assert_sound};
use crate::support::{NONE, queue};

const TURNS: &str = "select count(*) from mq_ready";

/// A runner that runs the head of a channel, with `behind` jobs in line behind it, and no turns left.
async fn running_head(db: &devpg::TestDb, behind: usize) -> (Session, Uuid, i64, Vec<Uuid>) {
    let mut runner = Session::runner(db).await;
    let head = runner.spawn_ordered("job", "a").await;
    let mut next = Vec::new();
    for _ in 0..behind {
        next.push(runner.spawn_ordered("job", "a").await);
    }
    let (id, claim) = runner.claim_one(&["job"]).await.expect("the head");
    assert_eq!(id, head);
    assert_eq!(
        runner.claim_one(&["job"]).await,
        None,
        "the turns of the others are used up"
    );
    assert_eq!(runner.one::<i64>(TURNS).await, 0);
    (runner, head, claim, next)
}

#[tokio::test]
async fn a_channel_goes_on_from_completion_to_completion() {
    let db = queue().await;
    let (mut runner, mut running, mut claim, next) = running_head(&db, 3).await;
    for expected in next {
        let (completed, next) = runner.complete_and_claim(&[running], claim, &["job"], &[]).await;
        assert_eq!(completed, [running]);
        assert_eq!((next.ids.clone(), next.attempts), (vec![expected], vec![1]));
        assert_eq!(runner.one::<i64>(TURNS).await, 0, "it needs no turn");
        assert_sound(&mut runner).await;
        (running, claim) = (expected, next.claim);
    }
    let (completed, nothing) = runner.complete_and_claim(&[running], claim, &["job"], &[]).await;
    assert_eq!(completed, [running]);
    assert_eq!(nothing.ids, NONE);
    assert_eq!(
        runner.one::<i64>(TURNS).await,
        1,
        "for who comes while this is open"
    );
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn what_a_completion_started_is_fenced_by_the_token_of_its_claim() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(runner.complete(&next, claim).await, NONE, "a token of before");
    assert_eq!(runner.complete(&next, started.claim).await, next);
    db.close().await;
}

#[tokio::test]
async fn a_completion_that_is_rolled_back_has_started_nothing() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    runner.run("begin").await;
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, next);
    runner.run("rollback").await;
    assert_sound(&mut runner).await;
    assert_eq!(runner.complete(&next, started.claim).await, NONE);
    assert_eq!(runner.complete(&[head], claim).await, [head]);
    assert_eq!(runner.claim_one(&["job"]).await.expect("the next").0, next[0]);
    db.close().await;
}

#[tokio::test]
async fn a_completion_of_several_channels_starts_the_next_of_each_and_gives_those_that_pause_a_turn() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let (mut heads, mut behind) = (Vec::new(), Vec::new());
    for channel in ["a", "b", "c"] {
        heads.push(runner.spawn_ordered("job", channel).await);
        behind.push(runner.spawn_ordered("job", channel).await);
    }
    let unordered = runner.spawn("job", "d").await;
    let claimed = runner.claim(10, &["job"]).await;
    let mut all = heads.clone();
    all.push(unordered);
    let sorted = |mut ids: Vec<Uuid>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(claimed.ids), sorted(all.clone()));
    let (completed, next) = runner
        .complete_and_claim(&all, claimed.claim, &["job"], &heads[1..2])
        .await;
    assert_eq!(sorted(completed), sorted(all));
    assert_eq!(sorted(next.ids), sorted(vec![behind[0], behind[2]]));
    assert_eq!(runner.claim_one(&["job"]).await.expect("the third").0, behind[1]);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_leaves_a_next_in_line_of_an_unknown_name_to_others() {
    let db = queue().await;
    let (mut runner, mut other) = (Session::runner(&db).await, Session::runner(&db).await);
    let head = runner.spawn_ordered("job", "a").await;
    let next = runner.spawn_ordered("rare", "a").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("the head");
    assert_eq!(other.claim_one(&["rare"]).await, None, "its turn is used up");
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, NONE);
    assert_eq!(other.claim_one(&["rare"]).await.expect("not stuck").0, next);
    assert_sound(&mut other).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_does_not_start_a_next_in_line_that_is_not_due() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let head = runner.spawn_ordered("job", "a").await;
    let delayed: Uuid = runner
        .one("select mq_spawn('job', channel_args => 'a', ordered => true, delay => '1 hour')")
        .await;
    let last = runner.spawn_ordered("job", "a").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("the head");
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, NONE);
    assert!(runner.cancel(delayed).await.expect("a cancellation"));
    assert_eq!(runner.claim_one(&["job"]).await.expect("not stuck").0, last);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_starts_the_next_in_line_though_a_claim_looks_at_the_channel() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    let mut claimer = Session::runner(&db).await;
    let late = claimer.spawn_ordered("job", "a").await;
    claimer.run("begin").await;
    assert_eq!(claimer.claim_one(&["job"]).await, None, "the head runs");
    let (completed, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(completed, [head], "it does not wait");
    assert_eq!(started.ids, next);
    claimer.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await, None, "the next runs");
    let (_, started) = runner
        .complete_and_claim(&next, started.claim, &["job"], &[])
        .await;
    assert_eq!(started.ids, [late]);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_claim_that_meets_an_open_completion_starts_nothing_of_its_channel() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    let mut claimer = Session::runner(&db).await;
    runner.run("begin").await;
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, next);
    // With a turn of its own, and whatever the completion has done.
    claimer.spawn_ordered("job", "a").await;
    assert_eq!(claimer.claim_one(&["job"]).await, None);
    runner.run("rollback").await;
    assert_eq!(claimer.claim_one(&["job"]).await, None, "the head runs again");
    assert_eq!(runner.complete(&[head], claim).await, [head]);
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, next[0]);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn a_spawn_that_commits_while_a_completion_that_claims_is_open_is_not_stuck() {
    let db = queue().await;
    let (mut runner, head, claim, _) = running_head(&db, 0).await;
    let (mut spawner, mut claimer) = (Session::open(&db).await, Session::runner(&db).await);
    runner.run("begin").await;
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, NONE);
    let next = spawner.spawn_ordered("job", "a").await;
    assert_eq!(
        claimer.claim_one(&["job"]).await,
        None,
        "the channel is the completion's"
    );
    runner.run("commit").await;
    assert_eq!(claimer.claim_one(&["job"]).await.expect("not stuck").0, next);
    assert_sound(&mut claimer).await;
    db.close().await;
}

#[tokio::test]
async fn a_next_in_line_that_is_being_cancelled_is_neither_waited_for_nor_started() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 2).await;
    let mut canceller = Session::open(&db).await;
    canceller.run("begin").await;
    assert!(canceller.cancel(next[0]).await.expect("a cancellation"));
    let (completed, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(completed, [head]);
    assert_eq!(started.ids, NONE, "the one behind it is not the next yet");
    canceller.run("rollback").await;
    assert_eq!(runner.claim_one(&["job"]).await.expect("not stuck").0, next[0]);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_job_that_an_open_completion_has_started_is_cancelled_once_that_is_committed() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    let mut canceller = Session::open(&db).await;
    runner.run("begin").await;
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, next);
    let moving = canceller.cancel(next[0]).await.expect_err("it is being moved");
    let code = moving
        .as_database_error()
        .and_then(|error| error.code().map(String::from));
    assert_eq!(code.as_deref(), Some("40001"), "{moving}");
    runner.run("commit").await;
    assert!(canceller.cancel(next[0]).await.expect("a cancellation"));
    assert_eq!(
        runner.complete(&started.ids, started.claim).await,
        NONE,
        "its runner has lost it"
    );
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_after_the_lease_starts_nothing() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    runner
        .run("update mq_runners set expires_at = clock_timestamp() - interval '1 second'")
        .await;
    let (completed, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(completed, [head], "the row is the fence of what has run");
    assert_eq!(started.ids, NONE);
    let mut other = Session::runner(&db).await;
    assert_eq!(other.claim_one(&["job"]).await.expect("not stuck").0, next[0]);
    assert_sound(&mut other).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_does_not_wait_for_whoever_has_its_runner_locked() {
    let db = queue().await;
    let (mut runner, head, claim, next) = running_head(&db, 1).await;
    let mut reaper = Session::open(&db).await;
    reaper.run("begin; select from mq_runners for update").await;
    runner.run("set lock_timeout = '2s'").await;
    let (completed, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(completed, [head]);
    assert_eq!(started.ids, NONE);
    reaper.run("commit").await;
    assert_eq!(runner.claim_one(&["job"]).await.expect("not stuck").0, next[0]);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_leaves_large_payloads_to_claims() {
    let db = queue().await;
    let (mut runner, head, claim, _) = running_head(&db, 0).await;
    let large: Uuid = runner
        .one("select mq_spawn('job', channel_args => 'a', ordered => true, payload_bytes => decode(repeat('00', 60000), 'hex'))")
        .await;
    let (_, started) = runner.complete_and_claim(&[head], claim, &["job"], &[]).await;
    assert_eq!(started.ids, NONE);
    assert_eq!(runner.claim_one(&["job"]).await.expect("not stuck").0, large);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_starts_as_many_of_the_next_in_line_as_their_payloads_allow() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let spawn = |bytes: usize| {
        format!(
            "select array_agg(mq_spawn('job', channel_args => c::text, ordered => true, payload_bytes => decode(repeat('00', {bytes}), 'hex')))
             from generate_series(1, 40) as c"
        )
    };
    let heads: Vec<Uuid> = runner.one(&spawn(0)).await;
    // Together more than comes with a completion, and one of them by itself.
    let next: Vec<Uuid> = runner.one(&spawn(2000)).await;
    runner
        .run(&format!(
            "update mq_jobs set payload_bytes = decode(repeat('00', 60000), 'hex') where id = '{}'",
            next[0]
        ))
        .await;
    let claimed = runner.claim(100, &["job"]).await;
    assert_eq!(claimed.ids.len(), heads.len());
    let (completed, started) = runner
        .complete_and_claim(&heads, claimed.claim, &["job"], &[])
        .await;
    assert_eq!(completed.len(), heads.len());
    assert!(
        (24..=29).contains(&started.ids.len()),
        "{} were started",
        started.ids.len()
    );
    assert!(!started.ids.contains(&next[0]), "it is large");
    // The others have a turn.
    let mut all = started.ids;
    while all.len() < next.len() {
        let claimed = runner.claim(100, &["job"]).await;
        assert_ne!(claimed.ids, NONE, "{} of {} were started", all.len(), next.len());
        all.extend(claimed.ids);
    }
    all.sort_unstable();
    let mut next = next;
    next.sort_unstable();
    assert_eq!(all, next);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_second_attempt_of_the_next_in_line_begins_at_its_checkpoint() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let first = runner.spawn_ordered("job", "a").await;
    let second = runner.spawn_ordered("job", "a").await;
    let (_, claim) = runner.claim_one(&["job"]).await.expect("the first");
    let (_, started) = runner.complete_and_claim(&[first], claim, &["job"], &[]).await;
    runner
        .run(&format!(
            "select mq_checkpoint('{}', '{second}', {}, '\"far\"', null, 0, null)",
            runner.runner, started.claim
        ))
        .await;
    assert!(runner.release(second, started.claim).await);
    // A job before it, once more: spawned earlier and committed late, in effect.
    let early = runner.spawn_ordered("job", "a").await;
    runner
        .run(&format!("update mq_line set number = -1 where id = '{early}'"))
        .await;
    let (id, claim) = runner.claim_one(&["job"]).await.expect("the earlier one");
    assert_eq!(id, early);
    runner.run("begin").await;
    let payload: Option<String> = runner
        .one(&format!(
            "select payloads_json[1] from mq_complete_and_claim('{}', array['{early}'::uuid], array[{claim}::bigint], 1000, null, '{{}}')",
            runner.runner
        ))
        .await;
    assert_eq!(payload.as_deref(), Some("\"far\""));
    db.close().await;
}
