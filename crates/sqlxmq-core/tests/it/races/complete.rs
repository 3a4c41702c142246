//! Completions against everything that may have ended the attempt before.

use uuid::Uuid;

use super::session::{Session, assert_sound, waits_for_a_lock};
use crate::support::queue;

#[tokio::test]
async fn a_stale_token_completes_nothing() {
    let db = queue().await;
    let (mut zombie, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let id = zombie.spawn("charge", "").await;
    let old = zombie.claim(1, &["charge"]).await;
    assert!(zombie.release(id, old.claim).await);
    let new = second.claim(1, &["charge"]).await;
    assert_eq!(new.ids, [id]);

    // One by one, and among others: those take another way.
    for ids in [vec![id], vec![id, Uuid::nil()]] {
        for wait in [true, false] {
            for claim in [old.claim, new.claim] {
                assert!(zombie.complete_waiting(&ids, claim, wait).await.is_empty());
            }
        }
    }
    assert!(!zombie.fail(id, old.claim).await);
    let done: bool = zombie
        .one(&format!(
            "select done from mq_checkpoint('{}', '{id}', {}, '1', null, 0, '0')",
            zombie.runner, old.claim
        ))
        .await;
    assert!(!done);
    let kept: bool = zombie
        .one(&format!(
            "select mq_keep_alive('{}', '{id}', {}, '1 hour')",
            zombie.runner, old.claim
        ))
        .await;
    assert!(!kept);

    assert_eq!(second.complete(&[id], new.claim).await, [id]);
    assert_sound(&mut second).await;
    db.close().await;
}

#[tokio::test]
async fn the_same_runner_claiming_again_does_not_revive_its_older_token() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let id = runner.spawn("charge", "").await;
    let old = runner.claim(1, &["charge"]).await.claim;
    runner.release(id, old).await;
    let new = runner.claim(1, &["charge"]).await.claim;
    for ids in [vec![id], vec![id, Uuid::nil()]] {
        for wait in [true, false] {
            assert!(runner.complete_waiting(&ids, old, wait).await.is_empty());
        }
    }
    assert_eq!(runner.complete(&[id], new).await, [id]);
    db.close().await;
}

#[tokio::test]
async fn a_completed_job_leaves_nothing_behind() {
    for (among_others, left) in [
        (false, "mq_errors"),
        (false, "mq_checkpoints"),
        (false, "mq_leases"),
        (true, "mq_errors"),
        (true, "mq_checkpoints"),
        (true, "mq_leases"),
    ] {
        let db = queue().await;
        let mut runner = Session::runner(&db).await;
        let mut ids = vec![runner.spawn("charge", "").await];
        if among_others {
            ids.push(runner.spawn("charge", "").await);
        }
        let claim = runner.claim(2, &["charge"]).await.claim;
        let (token, id) = (runner.runner, ids[0]);
        runner
            .run(&match left {
                "mq_errors" => {
                    format!("insert into mq_errors (id, attempt, failed_at, error) values ('{id}', 1, now(), 'no')")
                }
                "mq_checkpoints" => {
                    format!("select mq_checkpoint('{token}', '{id}', {claim}, '1', null, 0, '0')")
                }
                _ => format!("select mq_keep_alive('{token}', '{id}', {claim}, '1 hour')"),
            })
            .await;
        assert!(
            runner
                .one::<bool>(&format!("select exists (select from {left})"))
                .await
        );
        runner.complete(&ids, claim).await;
        assert!(
            !runner
                .one::<bool>(&format!("select exists (select from {left})"))
                .await,
            "{left}"
        );
        db.close().await;
    }
}

/// What a zombie says of its attempt while the reaper ends it.
#[derive(Clone, Copy)]
enum Says {
    Completed,
    Failed,
}

/// Whether the zombie is believed, after it has waited for the reaper.
async fn is_believed_after_the_reaper(says: Says) -> bool {
    let db = queue().await;
    let mut zombie = Session::open(&db).await;
    let (mut reaper, mut observer) = (Session::runner(&db).await, Session::open(&db).await);
    zombie.register("1 hour").await;
    let id = zombie.spawn("charge", "").await;
    let claim = zombie.claim(1, &["charge"]).await.claim;
    reaper
        .run("update mq_runners set expires_at = '-infinity' where description = 'a test'")
        .await;

    reaper.run("begin").await;
    let zombie_runner = zombie.runner;
    reaper
        .run(&format!(
            "select mq_reap(array['{zombie_runner}'::uuid], array[0::bigint])"
        ))
        .await;
    let pid = zombie.pid().await;
    let ending = async {
        match says {
            Says::Completed => !zombie.complete(&[id], claim).await.is_empty(),
            Says::Failed => zombie.fail(id, claim).await,
        }
    };
    let committing = async {
        waits_for_a_lock(&mut observer, pid).await;
        reaper.run("commit").await;
    };
    let (is_believed, ()) = tokio::join!(ending, committing);
    assert_sound(&mut reaper).await;
    db.close().await;
    is_believed
}

#[tokio::test]
async fn a_completion_that_waited_for_the_reaper_is_refused() {
    let is_believed = is_believed_after_the_reaper(Says::Completed).await;
    assert!(!is_believed, "the fence let a zombie through");
}

#[tokio::test]
async fn a_failure_that_waited_for_the_reaper_is_refused() {
    let is_believed = is_believed_after_the_reaper(Says::Failed).await;
    assert!(!is_believed, "the fence let a zombie through");
}

#[tokio::test]
async fn a_flush_passes_over_a_job_that_another_transaction_completes() {
    let db = queue().await;
    let (mut user, mut completer) = (Session::runner(&db).await, Session::open(&db).await);
    completer.runner = user.runner;
    let a = user.spawn("charge", "").await;
    let b = user.spawn("charge", "").await;
    let claim = user.claim(2, &["charge"]).await.claim;
    user.run("begin").await;
    assert_eq!(user.complete(&[a], claim).await, [a]);
    assert!(completer.complete_waiting(&[a], claim, false).await.is_empty());
    assert_eq!(completer.complete_waiting(&[a, b], claim, false).await, [b]);
    user.run("rollback").await;
    assert_eq!(completer.complete_waiting(&[a], claim, false).await, [a]);
    db.close().await;
}

#[tokio::test]
async fn a_completion_and_a_cancellation_of_the_same_job_have_one_winner() {
    let db = queue().await;
    let (mut runner, mut operator, mut observer) = (
        Session::runner(&db).await,
        Session::open(&db).await,
        Session::open(&db).await,
    );
    let id = runner.spawn_ordered("charge", "a").await;
    let (_, claim) = runner.claim_one(&["charge"]).await.expect("a job");
    runner.run("begin").await;
    assert_eq!(runner.complete(&[id], claim).await, [id]);
    let pid = operator.pid().await;
    let cancelling = async { operator.cancel(id).await.expect("an answer") };
    let committing = async {
        waits_for_a_lock(&mut observer, pid).await;
        runner.run("commit").await;
    };
    let (cancelled, ()) = tokio::join!(cancelling, committing);
    assert!(!cancelled);
    assert_sound(&mut operator).await;
    db.close().await;
}

#[tokio::test]
async fn two_flushes_in_opposite_order_do_not_deadlock() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    runner
        .run("select mq_spawn('job', channel_args => (g % 3)::text, ordered => g % 2 = 0) from generate_series(1, 400) as g")
        .await;
    loop {
        let claimed = runner.claim(50, &[]).await;
        if claimed.ids.is_empty() && !claimed.more {
            break;
        }
        let mut backwards = claimed.ids.clone();
        backwards.reverse();
        let mut other = Session::open(&db).await;
        other.runner = runner.runner;
        let (first, second) = tokio::join!(
            runner.complete_waiting(&claimed.ids, claimed.claim, true),
            other.complete_waiting(&backwards, claimed.claim, true)
        );
        assert_eq!(first.len() + second.len(), claimed.ids.len());
        other.close().await;
    }
    let left: i64 = runner.one("select count(*) from mq_jobs").await;
    assert_eq!(left, 0);
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_completion_locks_its_jobs_in_the_order_of_their_ids_and_not_in_its_callers() {
    let db = queue().await;
    let (mut user, mut observer) = (Session::runner(&db).await, Session::open(&db).await);
    let (mut backwards, mut forwards) = (Session::open(&db).await, Session::open(&db).await);
    (backwards.runner, forwards.runner) = (user.runner, user.runner);
    let mut ids = [user.spawn("job", "").await, user.spawn("job", "").await];
    ids.sort();
    let [first, last] = ids;
    let claim = user.claim(2, &["job"]).await.claim;

    // The one comes to the last job, which somebody holds, by way of the first, and the other waits for it there. From the last to
    // the first, it would hold one when the other holds the other one.
    user.run("begin").await;
    assert_eq!(user.complete(&[last], claim).await, [last]);
    let (backwards_pid, forwards_pid) = (backwards.pid().await, forwards.pid().await);
    let (is_waiting, has_waited) = tokio::sync::oneshot::channel();
    let (from_last, from_first, ()) = tokio::join!(
        async { backwards.complete(&[last, first], claim).await },
        async {
            has_waited.await.expect("the other one waits");
            forwards.complete(&[first, last], claim).await
        },
        async {
            waits_for_a_lock(&mut observer, backwards_pid).await;
            is_waiting.send(()).expect("another one");
            waits_for_a_lock(&mut observer, forwards_pid).await;
            user.run("rollback").await;
        }
    );
    assert_eq!(from_last, ids);
    assert!(from_first.is_empty());
    assert_sound(&mut observer).await;
    db.close().await;
}

#[tokio::test]
async fn the_transaction_of_a_completion_can_be_asked_for_later() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let id = runner.spawn("charge", "").await;
    let claim = runner.claim(1, &["charge"]).await.claim;
    let (token_runner, ids) = (runner.runner, id);
    let status: String = runner
        .one(&format!(
            "select pg_xact_status(xid) from mq_complete('{token_runner}', array['{ids}'::uuid], array[{claim}::bigint], true)"
        ))
        .await;
    assert_eq!(status, "in progress");
    db.close().await;
}

#[tokio::test]
async fn a_checkpoint_gives_no_attempt_that_was_not_asked_for() {
    for (extra, attempts) in [(0, 1), (2, 3)] {
        let db = queue().await;
        let mut session = Session::runner(&db).await;
        let id: uuid::Uuid = session
            .one("select mq_spawn('job', retries => 0, backoff => '0')")
            .await;
        let runner = session.runner;
        for attempt in 1..=attempts {
            let claimed = session.claim(1, &["job"]).await;
            assert_eq!(claimed.attempts, [attempt]);
            let claim = claimed.claim;
            let given = if attempt == 1 { extra } else { 0 };
            let done: bool = session
                .one(&format!(
                    "select done from mq_checkpoint('{runner}', '{id}', {claim}, '{attempt}', null, {given}, '0')"
                ))
                .await;
            assert!(done);
            assert!(session.fail(id, claim).await);
            session.run("select mq_promote(10)").await;
        }
        let dead: Vec<uuid::Uuid> = session
            .one("select coalesce(array_agg(id), '{}') from mq_dead")
            .await;
        assert_eq!(dead, [id], "{extra} extra retries");
        assert_sound(&mut session).await;
        db.close().await;
    }
}

#[tokio::test]
async fn a_job_that_is_named_twice_is_completed_once() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let id = runner.spawn("job", "").await;
    let claim = runner.claim(1, &["job"]).await.claim;
    assert_eq!(runner.complete(&[id, id], claim).await, [id]);
    assert_sound(&mut runner).await;
    db.close().await;
}
