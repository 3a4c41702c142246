//! Where a runner's own connections lead, and what it leaves in them.

use std::time::Duration;

use faults::{Fault, Proxy};
use sqlxmq_core::CurrentJob;

use crate::runner_support::{runner, spawn_given, until_state};
use crate::support::queue;

/// A fault that is none: it only counts.
const SEEN: Fault = Fault::Late(Duration::ZERO);

#[tokio::test]
async fn a_runner_leads_its_own_connections_where_it_is_told_and_its_jobs_use_the_pool() {
    let db = queue().await;
    let (of_jobs, of_runner) = (Proxy::start(db.url()).await, Proxy::start(db.url()).await);
    let pool = sqlx::PgPool::connect(&of_jobs.url(db.url())).await.unwrap();
    let (mut options, _errors) = runner(&pool, |mut job: CurrentJob| async move {
        sqlx::query("select 'of a job'").execute(job.pool()).await?;
        Ok(job.complete().await?)
    });
    of_jobs.on_next("from mq_claim_by_name(", SEEN);
    of_runner.on_next("select 'of a job'", SEEN);
    let id = spawn_given(db.pool()).await;
    let mut handle = options
        .set_direct_url(&of_runner.url(db.url()))
        .run()
        .await
        .unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!((of_jobs.met(), of_runner.met()), (0, 0));
}

#[tokio::test]
async fn a_runner_that_does_not_listen_leaves_no_setting_in_sessions_that_a_pooler_lends_to_others() {
    let db = queue().await;
    for (listens, settings) in [(true, 1), (false, 0)] {
        let proxy = Proxy::start(db.url()).await;
        let (mut options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
            Ok(job.complete().await?)
        });
        proxy.on_next("set synchronous_commit = off", SEEN);
        let id = spawn_given(db.pool()).await;
        let options = options.set_direct_url(&proxy.url(db.url())).set_listen(listens);
        let mut handle = options.run().await.unwrap();
        until_state(db.pool(), id, "").await;
        handle.stop().await;
        assert_eq!(proxy.met(), settings, "listens: {listens}");
    }
}
