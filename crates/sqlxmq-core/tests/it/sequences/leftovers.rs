//! What a job leaves behind that ended in a REPEATABLE READ transaction, before a runner has swept it.

use super::answer::ask;
use crate::laboratory::{laboratory, run};
use sqlx::Connection;

#[tokio::test]
async fn a_job_of_a_reused_id_does_not_begin_at_the_checkpoint_of_the_one_that_ended_with_a_snapshot() {
    let db = laboratory().await;
    let mut session = db.connect().await;
    for statement in [
        "select mq_register(runner(1), '1 hour', 'a test'), mq_spawn('a', '1', id => job(1))",
        "select mq_claim_by_name(runner(1), 1, 1, 1000, null, true, null, false)",
        "select mq_checkpoint(runner(1), job(1), 1, '2', null, 5, '0')",
        "begin isolation level repeatable read",
        "select mq_complete(runner(1), those(1), array[1], true)",
        "commit",
        "select setval('laboratory_clock', (select last_value from laboratory_clock) + 1)",
        "select mq_spawn('a', '3', id => job(1))",
    ] {
        run(&mut session, statement).await;
    }
    let job = "select payload_json, max_attempts from mq_payloads(those(1))";
    let before = ask(&mut session, job).await.expect("a payload").rows();
    run(&mut session, "select mq_promote(10)").await;
    let after = ask(&mut session, job).await.expect("a payload").rows();
    // The job's own payload and attempts.
    assert_eq!(
        (before, after),
        (vec!["3 | 5".to_owned()], vec!["3 | 5".to_owned()])
    );
    session.close().await.expect("a clean end");
    db.close().await;
}
