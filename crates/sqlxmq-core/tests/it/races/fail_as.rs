//! Failures whose job says what comes after: fenced as any other, and each as it was told.

use uuid::Uuid;

use super::session::{Session, assert_sound};
use crate::support::{NONE, queue};

/// Fails jobs of one claim as told and returns which ended here, and which of them are dead.
async fn fail_as(session: &mut Session, jobs: &[Uuid], claim: i64, told: &str) -> (Vec<Uuid>, Vec<Uuid>) {
    let ids: Vec<String> = jobs.iter().map(|id| format!("'{id}'::uuid")).collect();
    let (runner, ids) = (session.runner, ids.join(", "));
    let answer = format!(
        "from mq_fail_as('{runner}', array[{ids}], array_fill({claim}::bigint, array[{count}]),
           array_fill('no'::text, array[{count}]), {told}, true)",
        count = jobs.len(),
    );
    session.run("drop table if exists answer").await;
    session
        .run(&format!(
            "create temp table answer as select failed, dead {answer}"
        ))
        .await;
    (
        session.one("select failed from answer").await,
        session.one("select dead from answer").await,
    )
}

#[tokio::test]
async fn a_stale_token_fails_nothing_whatever_it_tells() {
    let db = queue().await;
    let (mut zombie, mut second) = (Session::runner(&db).await, Session::runner(&db).await);
    let id = zombie.spawn("charge", "").await;
    let old = zombie.claim(1, &["charge"]).await;
    assert!(zombie.release(id, old.claim).await);
    let new = second.claim(1, &["charge"]).await;
    for told in [
        "array[true], array[null::bigint], array[false]",
        "array[false], array[0::bigint], array[false]",
        "array[false], array[null::bigint], array[true]",
    ] {
        assert_eq!(
            fail_as(&mut zombie, &[id], old.claim, told).await,
            (vec![], vec![])
        );
    }
    // Backing off after an attempt of its own, the job is none of the zombie's business either.
    assert!(second.fail(id, new.claim).await);
    let deadly = "array[true], array[null::bigint], array[false]";
    assert_eq!(
        fail_as(&mut zombie, &[id], old.claim, deadly).await,
        (vec![], vec![])
    );
    let scheduled: i64 = second.one("select count(*) from mq_scheduled").await;
    assert_eq!(scheduled, 1);
    assert_sound(&mut second).await;
    db.close().await;
}

#[tokio::test]
async fn what_a_stale_token_tells_beside_the_valid_one_is_not_listened_to() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let token = runner.runner;
    for (deadly, waits, linear, due_in) in [
        ("true, false", "null, 500000000", "false, false", 500),
        ("false, false", "null, 500000000", "true, false", 500),
        ("false, false", "9000000000, 500000000", "false, false", 500),
        ("true, false", "null, null", "false, false", 1),
    ] {
        let id = runner.spawn("charge", "").await;
        let old = runner.claim(1, &["charge"]).await;
        assert!(runner.release(id, old.claim).await);
        let new = runner.claim(1, &["charge"]).await;
        let (stale, valid) = (old.claim, new.claim);
        let dead: Vec<Uuid> = runner
            .one(&format!(
                "select dead from mq_fail_as('{token}', array['{id}', '{id}']::uuid[], array[{stale}, {valid}], array['old', 'new'],
                   array[{deadly}], array[{waits}]::bigint[], array[{linear}], true)"
            ))
            .await;
        assert_eq!(dead, NONE);
        let in_s: i32 = runner
            .one("select extract(epoch from due_at - now())::integer from mq_scheduled")
            .await;
        assert_eq!(in_s, due_in, "{deadly}; {waits}; {linear}");
        assert_sound(&mut runner).await;
        runner.run("select mq_clear_all()").await;
    }
    db.close().await;
}

#[tokio::test]
async fn each_job_of_one_statement_fails_as_it_was_told() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    let dead = runner.spawn("charge", "").await;
    let later = runner.spawn("charge", "").await;
    let linear = runner.spawn("charge", "").await;
    let usual = runner.spawn("charge", "").await;
    let last: Uuid = runner.one("select mq_spawn('charge', retries => 0)").await;
    let jobs = [dead, later, linear, usual, last];
    let claimed = runner.claim(10, &["charge"]).await;
    assert_eq!(claimed.ids.len(), 5);
    let (failed, died) = fail_as(
        &mut runner,
        &jobs,
        claimed.claim,
        "array[true, false, null, null, false], array[60000000, 3600000000, null, null, 5]::bigint[],
         array[false, true, true, null, false]",
    )
    .await;
    assert_eq!(failed.len(), 5);
    assert!(
        died.len() == 2 && died.contains(&dead) && died.contains(&last),
        "{died:?}"
    );
    for (id, least, most) in [(later, 3590.0, 3600.0), (linear, 0.5, 1.1), (usual, 0.5, 1.1)] {
        let due: f64 = runner
            .one(&format!(
                "select extract(epoch from due_at - clock_timestamp())::float8 from mq_scheduled where id = '{id}'"
            ))
            .await;
        assert!((least..=most).contains(&due), "{id} is due in {due} s");
    }
    assert_sound(&mut runner).await;
    db.close().await;
}

#[tokio::test]
async fn a_deadly_failure_gives_the_channel_its_turn_at_any_isolation_level() {
    let db = queue().await;
    let mut runner = Session::runner(&db).await;
    for level in ["read committed", "repeatable read", "serializable"] {
        let first = runner.spawn_ordered("pay", level).await;
        let second = runner.spawn_ordered("pay", level).await;
        let (claimed, claim) = runner.claim_one(&["pay"]).await.expect("the first");
        assert_eq!(claimed, first);
        runner.run(&format!("begin isolation level {level}")).await;
        let deadly = "array[true], array[null::bigint], array[false]";
        let (failed, died) = fail_as(&mut runner, &[first], claim, deadly).await;
        assert_eq!((failed, died), (vec![first], vec![first]));
        runner.run("commit").await;
        runner.run("select mq_promote(100)").await;
        let (claimed, claim) = runner.claim_one(&["pay"]).await.expect("the next in line");
        assert_eq!(claimed, second);
        assert_eq!(runner.complete(&[second], claim).await, [second]);
    }
    assert_sound(&mut runner).await;
    db.close().await;
}
