//! Each statement of a runner meets each fault of a network, one at a time.

use std::time::{Duration, Instant};

use sqlxmq_core::{CurrentJob, JobBuilder, SpawnError};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::support::{builder, busy_runner, count, make_tables, pool, until_done};
use crate::runner_support::runner;
use crate::support::{queue, states};
use faults::{Fault, Proxy};

/// Of all that a runner and its jobs send, parts of the texts.
const STATEMENTS: [&str; 16] = [
    "mq_register(",
    "mq_renew(",
    "mq_audit(",
    "from mq_claim_by_name(",
    "from mq_payloads(",
    "mq_checkpoint(",
    "mq_fail(",
    "mq_promote(",
    "mq_runners_seen(",
    "mq_sleep(",
    "mq_in_flight(",
    "mq_awaken(",
    "insert into steps",
    "insert into effects",
    "mq_complete(",
    "COMMIT",
];

/// A runner of busy jobs behind a proxy, of whose statements each meets the fault once.
async fn each_meets(fault: Fault) {
    let db = queue().await;
    make_tables(db.pool()).await;
    let proxy = Proxy::start(db.url()).await;
    let through_proxy = pool(&proxy.url(db.url())).await;
    let mut options = busy_runner(&through_proxy, Duration::from_millis(400));
    options
        .set_lease(Duration::from_secs(1))
        .set_direct_url(&proxy.url(db.url()));
    let mut handle = options.run().await.unwrap();
    let mut spawned = 0;
    for (place, statement) in STATEMENTS.into_iter().enumerate() {
        let started = Instant::now();
        proxy.on_next(statement, fault);
        let what = format!("{statement} {fault:?}");
        loop {
            // Small payloads come with the claim: this one is asked for.
            let spawned_job = builder().set_raw_bytes(&[0; 60_000]).spawn(db.pool()).await;
            spawned_job.expect("a spawned job");
            spawned += 1;
            if proxy.has_met(place + 1, Duration::from_millis(700)).await {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(15), "{what}: not sent");
        }
        until_done(db.pool()).await;
        let took = started.elapsed();
        assert!(took < Duration::from_secs(15), "{what}: {took:?}");
        let (effects, jobs) = count(db.pool(), "effects").await;
        assert_eq!(effects, jobs, "{what}: an effect twice");
        let (steps, jobs) = count(db.pool(), "steps").await;
        assert_eq!(steps, jobs, "{what}: a step twice");
    }
    assert_eq!(count(db.pool(), "effects").await, (spawned, spawned));
    handle.stop().await;
}

#[tokio::test]
async fn a_statement_that_is_lost_with_its_connection_costs_no_effect() {
    each_meets(Fault::Lost).await;
}

#[tokio::test]
async fn a_statement_whose_answer_is_lost_has_its_effect_once() {
    each_meets(Fault::AnswerLost).await;
}

#[tokio::test]
async fn a_statement_that_arrives_late_has_its_effect_once() {
    each_meets(Fault::Late(Duration::from_millis(700))).await;
}

/// A runner that has a lease already claims some of many jobs, and that meets this fault. The errors of their attempts.
async fn claim_meets(fault: Fault) -> Vec<String> {
    let db = queue().await;
    sqlx::query("create table kept (error text)")
        .execute(db.pool())
        .await
        .unwrap();
    let proxy = Proxy::start(db.url()).await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(())?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut transaction = job.pool().begin().await?;
            sqlx::query("insert into kept select error from mq_errors where id = $1")
                .bind(job.id())
                .execute(&mut *transaction)
                .await?;
            job.complete_with_transaction(transaction).await?;
            Ok(())
        }
    });
    let jobs: Vec<_> = (0..60).map(|_| builder()).collect();
    sqlxmq_core::spawn_all(db.pool(), &jobs).await.unwrap();
    let options = options.set_direct_url(&proxy.url(db.url()));
    let mut handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    proxy.on_next("from mq_claim_by_name(", fault);
    assert!(
        proxy.has_met(1, Duration::from_secs(20)).await,
        "{fault:?}: no claim"
    );
    until_done(db.pool()).await;
    handle.stop().await;
    sqlx::query_scalar("select error from kept")
        .fetch_all(db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_given_back_whether_the_connection_breaks_or_falls_silent() {
    let (broken, silent, unheard) = tokio::join!(
        claim_meets(Fault::AnswerLost),
        claim_meets(Fault::AnswerSilent),
        claim_meets(Fault::Silent)
    );
    for errors in [broken, silent] {
        assert!(
            errors.iter().all(|error| error.starts_with("lost by its runner")),
            "{errors:?}"
        );
        assert!(!errors.is_empty());
    }
    assert!(unheard.is_empty(), "{unheard:?}");
}

#[tokio::test]
async fn a_spawn_whose_answer_is_lost_is_known_by_its_id() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let through_proxy = pool(&proxy.url(db.url())).await;
    for (fault, is_there) in [(Fault::AnswerLost, true), (Fault::Lost, false)] {
        let id = Uuid::new_v4();
        let job = JobBuilder::new_with_id(id, "given");
        proxy.on_next("mq_spawn", fault);
        let error = job.spawn(&through_proxy).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let again = job.spawn(&through_proxy).await;
        if is_there {
            assert!(matches!(again, Err(SpawnError::DuplicateId { .. })), "{again:?}");
        } else {
            again.unwrap();
        }
        assert_eq!(states(db.pool(), id).await, ["ready"]);
    }
    for (fault, is_there) in [(Fault::AnswerLost, true), (Fault::Lost, false)] {
        let id = Uuid::new_v4();
        let mut transaction = through_proxy.begin().await.unwrap();
        JobBuilder::new_with_id(id, "given")
            .spawn(&mut *transaction)
            .await
            .unwrap();
        proxy.on_next("COMMIT", fault);
        transaction.commit().await.unwrap_err();
        assert_eq!(sqlxmq_core::exists(db.pool(), id).await.unwrap(), is_there);
    }
}
