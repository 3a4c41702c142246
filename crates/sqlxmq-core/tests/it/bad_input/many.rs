//! Very many, and very large: one transaction with a million jobs, and payloads at the last limit.

use sqlx::Row;
use sqlxmq_core::{JobBuilder, config, spawn_all};

use crate::support::{ByHand, job, queue};

/// How many jobs one statement takes here.
const BATCH: usize = 20_000;

/// Spawns that many jobs in one transaction, while others go on, and looks at what is there then.
async fn in_one_transaction(jobs: usize) {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let mut transaction = db.pool().begin().await.unwrap();
    for first in (0..jobs).step_by(BATCH) {
        let mut batch: Vec<JobBuilder<'_>> = (0..BATCH.min(jobs - first)).map(|_| job("many")).collect();
        for (nth, builder) in batch.iter_mut().enumerate() {
            builder
                .set_channel_name(["a", "b", "c"][nth % 3])
                .set_ordered(nth % 10 == 0)
                .set_raw_json("{}");
        }
        let ids = spawn_all(&mut *transaction, &batch).await.unwrap();
        assert_eq!(ids.len(), batch.len());
        // Nobody waits for them: others spawn, are claimed, and complete.
        let other = job("other").set_channel_name("a").spawn(db.pool()).await.unwrap();
        let (claimed, claim) = runner.claim().await;
        assert_eq!(claimed, [other]);
        assert!(runner.complete(other, claim).await);
    }
    transaction.commit().await.unwrap();
    let there: (i64, i64) =
        sqlx::query_as("select (select count(*) from mq_ready_jobs), (select count(*) from mq_line)")
            .fetch_one(db.pool())
            .await
            .unwrap();
    let ordered = i64::try_from(jobs.div_ceil(10)).unwrap();
    assert_eq!(there, (i64::try_from(jobs).unwrap() - ordered, ordered));

    // Whoever comes now gets his turn, and a claim of the many is a claim like any other.
    let late = job("late").set_channel_name("d").spawn(db.pool()).await.unwrap();
    let (claimed, claim) = runner.claim_named(Some("late")).await;
    assert_eq!(claimed, [late]);
    assert!(runner.complete(late, claim).await);
    let (claimed, _) = runner.claim().await;
    assert_eq!(claimed.len(), 1_000);
    db.close().await;
}

#[tokio::test]
async fn a_hundred_thousand_jobs_fit_in_one_transaction_and_hold_up_nobody() {
    in_one_transaction(100_000).await;
}

#[tokio::test]
#[ignore = "takes a minute: `cargo xtask ci --full` runs it"]
async fn a_million_jobs_fit_in_one_transaction_and_hold_up_nobody() {
    in_one_transaction(1_000_000).await;
}

#[tokio::test]
#[ignore = "takes gigabytes of memory: `cargo xtask ci --full` runs it"]
async fn a_payload_at_the_last_limit_comes_back_equal_and_one_above_is_refused_by_the_schema() {
    let db = queue().await;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(config::MAX_PAYLOAD_BYTES).collect();
    let id = job("large")
        .set_raw_bytes(&bytes)
        .set_payload_limit(config::MAX_PAYLOAD_BYTES)
        .spawn(db.pool())
        .await
        .unwrap();
    let mut runner = ByHand::register(db.pool()).await;
    let (claimed, claim) = runner.claim().await;
    assert_eq!(claimed, [id]);
    let row = sqlx::query("select payload_bytes from mq_payloads(array[$1])")
        .bind(id)
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert!(row.get::<&[u8], _>("payload_bytes") == bytes);
    assert!(runner.complete(id, claim).await);

    let refused =
        sqlx::query("select mq_spawn('large', payload_bytes => convert_to(repeat('x', 268435457), 'UTF8'))")
            .execute(db.pool())
            .await
            .unwrap_err();
    let answer = refused.into_database_error().unwrap();
    assert_eq!(answer.constraint(), Some("mq_jobs_payload_is_bounded"));
    db.close().await;
}
