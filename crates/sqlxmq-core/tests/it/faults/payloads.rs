//! Payloads that do not arrive: of one job each time, of all now and then.

use std::time::Duration;

use sqlxmq_core::CurrentJob;

use crate::runner_support::{errors_of, given, runner, until_state};
use crate::support::queue;
use faults::{Fault, Proxy};

/// Small payloads come with the claim: this one is asked for.
const BIG: usize = 60_000;

#[tokio::test]
async fn a_payload_that_breaks_each_connection_uses_up_the_attempts_of_its_own_job_alone() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (mut options, mut reports) = runner(db.pool(), |mut job: CurrentJob| async move {
        assert_eq!(job.attempt(), 1, "an attempt was used on a neighbour");
        Ok(job.complete().await?)
    });
    let poisoned = [b"poison".as_slice(), &[0; BIG]].concat();
    let mut jobs: Vec<_> = (0..8).map(|_| given().set_raw_bytes(&[0; BIG]).clone()).collect();
    jobs.insert(3, given().set_raw_bytes(&poisoned).set_retries(0).clone());
    let ids = sqlxmq_core::spawn_all(db.pool(), &jobs).await.unwrap();
    proxy.poison(b"poison");
    options.set_concurrency(9, 9).set_direct_url(&proxy.url(db.url()));
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), ids[3], "dead").await;
    for id in ids.iter().filter(|&&id| id != ids[3]) {
        until_state(db.pool(), *id, "").await;
    }
    let errors = errors_of(db.pool(), ids[3]).await;
    let (attempt, error) = &errors[0];
    assert!(*attempt == 1 && error.contains("did not arrive"), "{errors:?}");
    let (_name, report) = reports.recv().await.unwrap();
    assert!(report.contains(&ids[3].to_string()), "{report}");
    handle.stop().await;
    assert!(reports.try_recv().is_err(), "a neighbour failed");
}

#[tokio::test]
async fn a_payload_that_is_lost_twice_and_then_arrives_has_cost_no_attempt() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (mut options, mut reports) = runner(db.pool(), |mut job: CurrentJob| async move {
        assert_eq!(job.attempt(), 1);
        Ok(job.complete().await?)
    });
    let mut job = given();
    let id = job
        .set_raw_bytes(&[0; BIG])
        .set_retries(0)
        .spawn(db.pool())
        .await
        .unwrap();
    let options = options.set_direct_url(&proxy.url(db.url()));
    proxy.on_next("from mq_payloads(", Fault::Lost);
    let mut handle = options.run().await.unwrap();
    assert!(proxy.has_met(1, Duration::from_secs(20)).await, "once");
    proxy.on_next("from mq_payloads(", Fault::Lost);
    assert!(proxy.has_met(2, Duration::from_secs(20)).await, "twice");
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    assert!(reports.try_recv().is_err());
}
