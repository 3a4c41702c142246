//! Leases: renewing, reaping, auditing.

use super::session::{Session, assert_sound, waits_for_a_lock};
use crate::support::queue;
use uuid::Uuid;

async fn expire(session: &mut Session, runner: Uuid) {
    session
        .run(&format!(
            "update mq_runners set expires_at = '-infinity' where runner = '{runner}'"
        ))
        .await;
}

async fn reap(session: &mut Session, runner: Uuid, beat: i64) -> i32 {
    session
        .one(&format!(
            "select jobs_reaped from mq_reap(array['{runner}'::uuid], array[{beat}::bigint])"
        ))
        .await
}

#[tokio::test]
async fn a_lease_that_is_over_is_not_renewed() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let runner = session.runner;
    let renew = format!("select mq_renew('{runner}', '1 hour')");
    assert!(session.one::<bool>(&renew).await);
    expire(&mut session, runner).await;
    assert!(!session.one::<bool>(&renew).await);
    db.close().await;
}

#[tokio::test]
async fn a_runner_whose_lease_is_over_claims_nothing() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    session.spawn("job", "").await;
    let runner = session.runner;
    expire(&mut session, runner).await;
    for sweep in [true, false] {
        let claimed = session.claim_with(1, &["job"], &[], sweep).await;
        assert!(claimed.expired);
        assert!(claimed.ids.is_empty());
    }
    db.close().await;
}

#[tokio::test]
async fn the_jobs_of_a_runner_that_is_gone_are_ready_at_once_with_the_attempt_used() {
    let db = queue().await;
    let (mut gone, mut next) = (Session::runner(&db).await, Session::runner(&db).await);
    let id = gone.spawn("job", "").await;
    let ordered = gone.spawn_ordered("job", "a").await;
    gone.claim(2, &["job"]).await;
    let runner = gone.runner;
    assert_eq!(reap(&mut next, runner, 0).await, 0, "it lives");
    expire(&mut next, runner).await;
    assert_eq!(
        reap(&mut next, runner, 7).await,
        0,
        "it has renewed since it was seen"
    );
    assert_eq!(reap(&mut next, runner, 0).await, 2);
    let mut claimed = next.claim(10, &["job"]).await;
    claimed.ids.sort();
    let mut expected = vec![id, ordered];
    expected.sort();
    assert_eq!((claimed.ids, claimed.attempts), (expected, vec![2, 2]));
    let left: i64 = next
        .one(&format!(
            "select count(*) from mq_runners where runner = '{runner}'"
        ))
        .await;
    assert_eq!(left, 0);
    assert_sound(&mut next).await;
    db.close().await;
}

#[tokio::test]
async fn a_runner_that_dies_with_the_last_attempt_leaves_a_dead_job_with_the_reason() {
    let db = queue().await;
    let (mut gone, mut next) = (Session::runner(&db).await, Session::runner(&db).await);
    let id: Uuid = gone.one("select mq_spawn('job', retries => 0)").await;
    gone.claim(1, &["job"]).await;
    let runner = gone.runner;
    expire(&mut next, runner).await;
    reap(&mut next, runner, 0).await;
    let error: String = next
        .one(&format!(
            "select last_error from mq_dead_jobs() where id = '{id}'"
        ))
        .await;
    assert!(error.starts_with("lease over"), "{error}");
    db.close().await;
}

#[tokio::test]
async fn a_claim_in_flight_is_not_left_without_its_runner() {
    let db = queue().await;
    let (mut claimer, mut reaper, mut observer) = (
        Session::runner(&db).await,
        Session::runner(&db).await,
        Session::open(&db).await,
    );
    claimer.spawn("job", "").await;
    let runner = claimer.runner;
    claimer.run("begin").await;
    assert_eq!(claimer.claim(1, &["job"]).await.ids.len(), 1);
    // The renewal of the lease would have been due long ago.
    let mut clock = Session::open(&db).await;
    let pid = clock.pid().await;
    let expiring = async { expire(&mut clock, runner).await };
    let reaping = async {
        waits_for_a_lock_or_ends(&mut observer, pid).await;
        assert_eq!(
            reap(&mut reaper, runner, 0).await,
            0,
            "the reaper passes over a claim in flight"
        );
        claimer.run("commit").await;
    };
    tokio::join!(expiring, reaping);
    assert_eq!(reap(&mut reaper, runner, 0).await, 1);
    assert_sound(&mut reaper).await;
    db.close().await;
}

/// The update of a column that is not a key does not wait for the claim's lock; on any server that made it wait it would.
async fn waits_for_a_lock_or_ends(observer: &mut Session, pid: i32) {
    let idle: bool = observer
        .one(&format!(
            "select state <> 'active' from pg_stat_activity where pid = {pid}"
        ))
        .await;
    if !idle {
        let _ =
            tokio::time::timeout(std::time::Duration::from_secs(1), waits_for_a_lock(observer, pid)).await;
    }
}

#[tokio::test]
async fn the_reaper_leaves_a_job_that_is_being_completed() {
    let db = queue().await;
    let (mut slow, mut reaper) = (Session::runner(&db).await, Session::runner(&db).await);
    let id = slow.spawn("job", "").await;
    let claim = slow.claim(1, &["job"]).await.claim;
    let runner = slow.runner;
    slow.run("begin").await;
    assert_eq!(slow.complete(&[id], claim).await, [id]);
    expire(&mut reaper, runner).await;
    assert_eq!(reap(&mut reaper, runner, 0).await, 0);
    slow.run("commit").await;
    assert_eq!(reap(&mut reaper, runner, 0).await, 0);
    assert_sound(&mut reaper).await;
    let jobs: i64 = reaper.one("select count(*) from mq_jobs").await;
    assert_eq!(jobs, 0);
    db.close().await;
}

#[tokio::test]
async fn the_audit_fails_what_the_runner_does_not_hold_and_tells_what_it_lost() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let stray = session.spawn("job", "").await;
    let stray_claim = session.claim(1, &["job"]).await.claim;
    let held = session.spawn("job", "").await;
    let held_claim = session.claim(1, &["job"]).await.claim;
    let in_flight = session.spawn("job", "").await;
    let flight_claim = session.claim(1, &["job"]).await.claim;
    let lost = Uuid::new_v4();
    let runner = session.runner;
    let audit = format!(
        "mq_audit('{runner}', array['{held}', '{lost}']::uuid[], array[{held_claim}, {stray_claim}]::bigint[], {flight_claim})"
    );
    let (told, failed): (Vec<Uuid>, Vec<Uuid>) = (
        session.one(&format!("select lost from {audit}")).await,
        session
            .one("select array_agg(id) from mq_errors where error like 'lost by its runner%'")
            .await,
    );
    assert_eq!(told, [lost]);
    assert_eq!(failed, [stray]);
    assert_eq!(session.complete(&[held], held_claim).await, [held]);
    assert_eq!(session.complete(&[in_flight], flight_claim).await, [in_flight]);
    assert_sound(&mut session).await;
    db.close().await;
}

#[tokio::test]
async fn the_audit_passes_over_a_completion_on_its_way() {
    let db = queue().await;
    let (mut user, mut renewer) = (Session::runner(&db).await, Session::open(&db).await);
    let id = user.spawn("job", "").await;
    let claim = user.claim(1, &["job"]).await.claim;
    user.run("begin").await;
    assert_eq!(user.complete(&[id], claim).await, [id]);
    let runner = user.runner;
    let failed: Vec<Uuid> = renewer
        .one(&format!(
            "select failed from mq_audit('{runner}', '{{}}', '{{}}', 99)"
        ))
        .await;
    assert!(failed.is_empty());
    user.run("commit").await;
    assert_sound(&mut renewer).await;
    db.close().await;
}

#[tokio::test]
async fn a_job_outlives_neither_its_own_lease_nor_its_runner() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let id = session.spawn("job", "").await;
    let claim = session.claim(1, &["job"]).await.claim;
    let runner = session.runner;
    let kept: bool = session
        .one(&format!(
            "select mq_keep_alive('{runner}', '{id}', {claim}, '1 hour')"
        ))
        .await;
    assert!(kept);
    assert_eq!(session.one::<i32>("select mq_reap_jobs()").await, 0);
    session.run("update mq_leases set expires_at = '-infinity'").await;
    assert_eq!(session.one::<i32>("select mq_reap_jobs()").await, 1);
    assert!(session.complete(&[id], claim).await.is_empty());
    assert_sound(&mut session).await;
    db.close().await;
}

#[tokio::test]
async fn a_clean_end_gives_the_jobs_back_with_no_attempt_used() {
    let db = queue().await;
    let (mut leaving, mut next) = (Session::runner(&db).await, Session::runner(&db).await);
    leaving.spawn("job", "").await;
    leaving.spawn_ordered("job", "a").await;
    leaving.claim(10, &["job"]).await;
    let runner = leaving.runner;
    let released: i64 = leaving.one(&format!("select mq_unregister('{runner}')")).await;
    assert_eq!(released, 2);
    assert_eq!(next.claim(10, &["job"]).await.attempts, [1, 1]);
    assert_sound(&mut next).await;
    db.close().await;
}

#[tokio::test]
async fn a_claim_that_is_still_at_work_when_its_runner_has_given_it_up_is_found_by_a_later_audit() {
    let db = queue().await;
    let (mut claimer, mut keeper) = (Session::runner(&db).await, Session::open(&db).await);
    let runner = claimer.runner;
    let id = claimer.spawn("job", "").await;
    claimer.run("begin").await;
    let claimed = claimer.claim(1, &["job"]).await;
    assert_eq!(claimed.ids, [id]);
    // The runner has stopped waiting for the answer, so the claim is not in flight for it, and it has numbered others.
    let audit = format!("select failed from mq_audit('{runner}', '{{}}', '{{}}', 99)");
    assert!(keeper.one::<Vec<Uuid>>(&audit).await.is_empty());
    claimer.run("commit").await;
    assert_eq!(keeper.one::<Vec<Uuid>>(&audit).await, [id]);
    assert_sound(&mut keeper).await;
    db.close().await;
}

#[tokio::test]
async fn an_audit_of_a_busy_runner_waits_a_moment_to_leave_its_claims_behind() {
    let db = queue().await;
    let (mut claimer, mut keeper, mut observer) = (
        Session::runner(&db).await,
        Session::open(&db).await,
        Session::open(&db).await,
    );
    let runner = claimer.runner;
    let pid = keeper.pid().await;
    // It does not wait for long, which on a busy machine may be too short for us to see it.
    for _ in 0..20 {
        claimer.spawn("job", "a").await;
        claimer.run("begin").await;
        assert_eq!(claimer.claim(1, &["job"]).await.ids.len(), 1);
        let audit = format!("select cardinality(failed) from mq_audit('{runner}', '{{}}', '{{}}', 1000000)");
        let (_, has_waited) = tokio::join!(keeper.one::<i32>(&audit), async {
            let mut has_waited = false;
            for _ in 0..10 {
                has_waited |= observer
                    .one::<bool>(&format!(
                        "select coalesce((select wait_event = 'PgSleep' from pg_stat_activity where pid = {pid}), false)"
                    ))
                    .await;
            }
            claimer.run("commit").await;
            has_waited
        });
        let first: i64 = observer
            .one(&format!(
                "select first_claim from mq_runners where runner = '{runner}'"
            ))
            .await;
        if has_waited && first == 1_000_000 {
            db.close().await;
            return;
        }
        observer
            .run(&format!(
                "update mq_runners set first_claim = 0 where runner = '{runner}'"
            ))
            .await;
    }
    panic!("it leaves nothing behind");
}

#[tokio::test]
async fn a_claim_that_arrives_after_an_audit_has_left_it_behind_claims_nothing() {
    let db = queue().await;
    let (mut claimer, mut keeper) = (Session::runner(&db).await, Session::open(&db).await);
    let runner = claimer.runner;
    claimer.spawn("job", "").await;
    let audit = format!("select failed from mq_audit('{runner}', '{{}}', '{{}}', 99)");
    assert!(keeper.one::<Vec<Uuid>>(&audit).await.is_empty());
    let late = claimer.claim(1, &["job"]).await;
    assert!(late.expired && late.ids.is_empty(), "{late:?}");
    assert_sound(&mut keeper).await;
    db.close().await;
}

#[tokio::test]
async fn the_last_twenty_errors_of_a_job_are_kept() {
    let db = queue().await;
    let mut session = Session::runner(&db).await;
    let id: Uuid = session
        .one("select mq_spawn('job', retries => 30, backoff => '0')")
        .await;
    for _ in 0..23 {
        let claim = session.claim(1, &["job"]).await.claim;
        assert!(session.fail(id, claim).await);
        session.run("select mq_promote(10)").await;
    }
    let attempts: Vec<i32> = session
        .one(&format!("select array_agg(attempt) from mq_job_errors('{id}')"))
        .await;
    assert_eq!(attempts, (4..=23).collect::<Vec<_>>());
    db.close().await;
}

#[tokio::test]
async fn a_job_that_is_being_completed_while_its_runner_is_reaped_is_reaped_later_if_that_is_rolled_back() {
    let db = queue().await;
    let (mut gone, mut next) = (Session::runner(&db).await, Session::runner(&db).await);
    gone.spawn("job", "").await;
    let (id, claim) = gone.claim_one(&["job"]).await.unwrap();
    let runner = gone.runner;
    gone.run("begin").await;
    assert_eq!(gone.complete(&[id], claim).await, [id]);
    expire(&mut next, runner).await;
    assert_eq!(reap(&mut next, runner, 0).await, 0, "locked, and nobody waits");
    gone.run("rollback").await;
    assert_eq!(reap(&mut next, runner, 0).await, 1);
    assert_eq!(next.claim(1, &["job"]).await.attempts, [2]);
    assert_sound(&mut next).await;
    db.close().await;
}

#[tokio::test]
async fn a_job_that_is_being_completed_while_its_runner_ends_is_reaped_if_that_is_rolled_back() {
    let db = queue().await;
    let (mut leaving, mut next) = (Session::runner(&db).await, Session::runner(&db).await);
    leaving.spawn("job", "").await;
    let (id, claim) = leaving.claim_one(&["job"]).await.unwrap();
    let runner = leaving.runner;
    leaving.run("begin").await;
    assert_eq!(leaving.complete(&[id], claim).await, [id]);
    let released: i64 = next.one(&format!("select mq_unregister('{runner}')")).await;
    assert_eq!(released, 0, "locked, and nobody waits");
    leaving.run("rollback").await;
    expire(&mut next, runner).await;
    assert_eq!(reap(&mut next, runner, 0).await, 1);
    assert_eq!(next.claim(1, &["job"]).await.attempts, [2]);
    assert_sound(&mut next).await;
    db.close().await;
}
