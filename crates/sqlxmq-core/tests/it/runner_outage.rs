//! What networks do: silence, refusal, commits whose answers are lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use devpg::{TestDb, eventually};
use faults::{Fault, Proxy};
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use sqlxmq_core::{
    BuildFn, CompleteError, CurrentJob, JobEnd, JobRegistry, JobRunnerOptions, NamedJob, Outcome, RunFn,
};
use tokio::sync::{Notify, mpsc};

use crate::runner_support::{errors_of, given, runner, spawn_given, until_state};
use crate::support::{queue, states};

async fn count_effects(db: &TestDb) -> i64 {
    sqlx::query_scalar("select count(*) from effects")
        .fetch_one(db.pool())
        .await
        .expect("the effects")
}

/// Runs one job that completes in a transaction through the proxy whose commit meets that fate.
async fn complete_with_commit(fate: Fault) -> (TestDb, Result<(), CompleteError>) {
    let db = queue().await;
    sqlx::query("create table effects (id uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let proxy = Proxy::start(db.url()).await;
    let through_proxy = PgPool::connect(&proxy.url(db.url())).await.unwrap();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(&through_proxy, move |mut job: CurrentJob| {
        let (outcome, proxy) = (outcome.clone(), proxy.clone());
        async move {
            let mut transaction = job.pool().begin().await?;
            sqlx::query("insert into effects values ($1)")
                .bind(job.id())
                .execute(&mut *transaction)
                .await?;
            proxy.on_next("COMMIT", fate);
            outcome.send(job.complete_with_transaction(transaction).await)?;
            Ok(())
        }
    });
    let id = given().set_retries(0).spawn(db.pool()).await.unwrap();
    let mut handle = options.set_direct_url(db.url()).run().await.unwrap();
    let answer = outcomes.recv().await.unwrap();
    until_state(db.pool(), id, if answer.is_ok() { "" } else { "dead" }).await;
    handle.stop().await;
    (db, answer)
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_asked_after() {
    let (db, answer) = complete_with_commit(Fault::AnswerLost).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(count_effects(&db).await, 1);
}

/// Half open: the lease is renewed over another connection, so nothing else would end the wait.
#[tokio::test]
async fn a_commit_that_is_never_answered_is_asked_after_within_fifteen_seconds() {
    let since = Instant::now();
    let (db, answer) = complete_with_commit(Fault::AnswerSilent).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    assert_eq!(count_effects(&db).await, 1);
}

#[tokio::test]
async fn a_completion_over_a_silent_connection_is_given_up_within_fifteen_seconds() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let through_proxy = PgPool::connect(&proxy.url(db.url())).await.unwrap();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let frozen = proxy.clone();
    let (mut options, _errors) = runner(&through_proxy, move |mut job: CurrentJob| {
        let (outcome, frozen) = (outcome.clone(), frozen.clone());
        async move {
            let transaction = job.pool().begin().await?;
            if job.attempt() == 1 {
                frozen.freeze();
            }
            let answer = job.complete_with_transaction(transaction).await;
            let refused = answer.as_ref().err().map(ToString::to_string);
            outcome.send(answer)?;
            refused.map_or(Ok(()), |refused| Err(refused.into()))
        }
    });
    let id = given()
        .set_retry_backoff(Duration::from_millis(10))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.set_direct_url(db.url()).run().await.unwrap();
    let since = Instant::now();
    let silent = outcomes.recv().await.unwrap();
    assert!(
        matches!(&silent, Err(CompleteError::Store { .. })) && since.elapsed() < Duration::from_secs(15),
        "{silent:?} after {:?}",
        since.elapsed()
    );
    assert!(outcomes.recv().await.unwrap().is_ok());
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_commit_that_was_lost_itself_is_reported_as_not_committed() {
    let (db, answer) = complete_with_commit(Fault::Lost).await;
    assert!(matches!(answer, Err(CompleteError::Commit { .. })), "{answer:?}");
    assert_eq!(count_effects(&db).await, 0);
}

#[tokio::test]
async fn a_completion_whose_commit_was_not_answered_is_resolved() {
    for fate in [Fault::AnswerLost, Fault::Lost] {
        let db = queue().await;
        let proxy = Proxy::start(db.url()).await;
        let through_proxy = proxy.url(db.url());
        let (outcome, mut outcomes) = mpsc::unbounded_channel();
        let armed = proxy.clone();
        let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
            let (outcome, proxy) = (outcome.clone(), armed.clone());
            async move {
                proxy.on_next("COMMIT", fate);
                outcome.send(job.complete().await)?;
                Ok(())
            }
        });
        let id = spawn_given(db.pool()).await;
        let mut handle = options.set_direct_url(&through_proxy).run().await.unwrap();
        let answer = outcomes.recv().await.unwrap();
        assert!(answer.is_ok(), "{fate:?}: {answer:?}");
        assert!(proxy.has_met(1, Duration::ZERO).await, "{fate:?}: no commit");
        until_state(db.pool(), id, "").await;
        handle.stop().await;
    }
}

/// What `kept` does before it returns and leaves its completion to the runner.
#[derive(Clone)]
struct Before(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>);

static KEPT: NamedJob = NamedJob::new_internal(
    "kept",
    BuildFn(|builder| builder),
    RunFn(|registry, job| {
        Box::pin(async move {
            (registry.context::<Before>().0)().await;
            JobEnd::new(job, Outcome::Done)
        })
    }),
    &[],
);

/// A runner of the job `kept`, and what it reports.
fn runner_of_kept<F>(pool: &PgPool, before: F) -> (JobRunnerOptions, mpsc::UnboundedReceiver<String>)
where
    F: Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
{
    let (report, reports) = mpsc::unbounded_channel();
    let mut registry = JobRegistry::new(&[&KEPT]);
    registry.set_context(Before(Arc::new(before)));
    registry.set_error_handler(move |name, error| {
        let _ = report.send(format!("{name}: {error}"));
    });
    let mut options = registry.runner(pool);
    options.set_lease(Duration::from_secs(3));
    (options, reports)
}

#[tokio::test]
async fn a_completion_that_nobody_waits_for_is_done_once_although_its_answer_was_lost() {
    for fate in [Fault::AnswerLost, Fault::AnswerSilent, Fault::Lost] {
        let db = queue().await;
        let proxy = Proxy::start(db.url()).await;
        let (ran, mut runs) = mpsc::unbounded_channel();
        let armed = proxy.clone();
        let (mut options, mut reports) = runner_of_kept(db.pool(), move || {
            armed.on_next("mq_complete", fate);
            let _ = ran.send(());
            Box::pin(std::future::ready(()))
        });
        let id = KEPT.builder().spawn(db.pool()).await.unwrap();
        let through_proxy = proxy.url(db.url());
        let mut handle = options.set_direct_url(&through_proxy).run().await.unwrap();
        assert!(proxy.has_met(1, Duration::from_secs(20)).await, "{fate:?}");
        until_state(db.pool(), id, "").await;
        handle.stop().await;
        assert_eq!(reports.try_recv().ok(), None, "{fate:?}");
        runs.recv().await.unwrap();
        assert_eq!(runs.try_recv().ok(), None, "{fate:?}: run again");
    }
}

/// Its lease of its own ends before the completion arrives, which never does.
#[tokio::test]
async fn a_completion_that_was_not_answered_does_not_hide_that_the_attempt_is_over() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (armed, pool) = (proxy.clone(), db.pool().clone());
    let (mut options, mut reports) = runner_of_kept(db.pool(), move || {
        let (armed, pool) = (armed.clone(), pool.clone());
        Box::pin(async move {
            for statement in [
                "update mq_leases set expires_at = now() - interval '1 second'",
                "select mq_reap_jobs()",
            ] {
                sqlx::query(statement).execute(&pool).await.unwrap();
            }
            armed.on_next("mq_complete", Fault::Lost);
        })
    });
    let id = KEPT.builder().set_retries(0).spawn(db.pool()).await.unwrap();
    let through_proxy = proxy.url(db.url());
    let options = options.set_keep_alive(false).set_direct_url(&through_proxy);
    let mut handle = options.run().await.unwrap();
    assert!(proxy.has_met(1, Duration::from_secs(20)).await);
    let report = reports.recv().await.unwrap();
    assert!(report.contains("lease"), "{report}");
    until_state(db.pool(), id, "dead").await;
    handle.stop().await;
}

#[tokio::test]
async fn silent_connections_are_replaced_within_fifteen_seconds_and_no_job_is_lost() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(())?;
            if job.json::<bool>()?.unwrap_or_default() {
                tokio::time::sleep(Duration::from_secs(18)).await;
            }
            job.complete().await?;
            Ok(())
        }
    });
    options
        .set_direct_url(&proxy.url(db.url()))
        .set_lease(Duration::from_secs(15));
    let long = given().set_json(&true).unwrap().spawn(db.pool()).await.unwrap();
    let mut handle = options.set_concurrency(4, 8).run().await.unwrap();
    has_started.recv().await.unwrap();
    proxy.freeze();
    let frozen = Instant::now();
    let next = spawn_given(db.pool()).await;
    has_started.recv().await.unwrap();
    let took = frozen.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    until_state(db.pool(), next, "").await;
    until_state(db.pool(), long, "").await;
    assert_eq!(errors_of(db.pool(), long).await, []);
    handle.stop().await;
}

async fn connections_of(db: &TestDb, role: &str) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1",
    )
    .bind(role)
    .fetch_one(db.pool())
    .await
    .expect("the connections of a runner")
}

#[tokio::test]
async fn silence_on_one_connection_is_not_waited_for_again_on_the_others() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let waited = Arc::clone(&go_on);
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let (started, waited) = (started.clone(), Arc::clone(&waited));
        async move {
            started.send(())?;
            waited.notified().await;
            job.complete().await?;
            Ok(())
        }
    });
    options
        .set_direct_url(&proxy.url(db.url()))
        .set_concurrency(1, 1)
        .set_lease(Duration::from_secs(15));
    spawn_given(db.pool()).await;
    let next = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    has_started.recv().await.unwrap();
    // What is silent must be asked after the others have answered: only then does it say something about them. Once the job
    // runs only maintenance asks.
    let answered = proxy.statements();
    eventually("answers to maintenance", async || {
        match proxy.statements() - answered {
            3.. => Ok(()),
            seen => Err(format!("{seen} answers")),
        }
    })
    .await;
    eventually("nothing to be under way", async || {
        let busy: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and application_name like 'sqlxmq %' and state <> 'idle'",
        )
        .fetch_one(db.pool())
        .await
        .expect("the activity");
        if busy == 0 {
            Ok(())
        } else {
            Err(format!("{busy} busy"))
        }
    })
    .await;
    // The connections that claim and complete have nothing to do now, and do not notice.
    proxy.freeze();
    eventually(
        "another connection that maintains",
        async || match connections_of(&db, "sqlxmq maintain").await {
            2.. => Ok(()),
            seen => Err(format!("{seen}")),
        },
    )
    .await;
    let noticed = Instant::now();
    go_on.notify_one();
    has_started.recv().await.unwrap();
    let took = noticed.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    go_on.notify_one();
    until_state(db.pool(), next, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn an_outage_longer_than_the_lease_ends_the_attempt_and_not_the_runner() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let (started, outcome) = (started.clone(), outcome.clone());
        async move {
            started.send(())?;
            if job.attempt() == 1 {
                job.cancelled().cancelled().await;
            }
            outcome.send(job.complete().await)?;
            Ok(())
        }
    });
    let id = given()
        .set_retry_backoff(Duration::from_millis(10))
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.set_direct_url(&proxy.url(db.url())).run().await.unwrap();
    has_started.recv().await.unwrap();
    proxy.cut_off();
    // Told by the local deadline, although the database can't be asked.
    let cut = Instant::now();
    assert!(matches!(
        outcomes.recv().await,
        Some(Err(CompleteError::LeaseLost { .. }))
    ));
    let told = cut.elapsed();
    assert!(told < Duration::from_millis(3500), "{told:?}");
    assert_eq!(states(db.pool(), id).await, ["running"]);
    eventually("bad health", async || {
        let health = handle.health();
        if health.connected {
            Err(format!("{health:?}"))
        } else {
            Ok(())
        }
    })
    .await;
    proxy.heal();
    assert!(matches!(outcomes.recv().await, Some(Ok(()))));
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn stopping_during_an_outage_takes_the_grace_and_a_few_seconds() {
    let db = queue().await;
    let proxy = Proxy::start(db.url()).await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(db.pool(), move |job: CurrentJob| {
        let started = started.clone();
        async move {
            started.send(())?;
            job.cancelled().cancelled().await;
            Ok(())
        }
    });
    spawn_given(db.pool()).await;
    let options = options
        .set_direct_url(&proxy.url(db.url()))
        .set_lease(Duration::from_secs(30));
    let handle = options.set_concurrency(4, 8).run().await.unwrap();
    has_started.recv().await.unwrap();
    // A claim is on its way, and will not be answered.
    proxy.on_next("from mq_claim_by_name(", Fault::Silent);
    assert!(proxy.has_met(1, Duration::from_secs(20)).await, "no claim");
    proxy.cut_off();
    let asked = Instant::now();
    handle.shutdown(Duration::from_secs(1)).await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

/// How a completion ends whose own connection falls silent at this statement. The runner's are well.
async fn complete_in_silence(statement: &'static str, fault: Fault) -> (TestDb, Result<(), CompleteError>) {
    let db = queue().await;
    sqlx::query("create table effects (id uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let proxy = Proxy::start(db.url()).await;
    let through_proxy = PgPool::connect(&proxy.url(db.url())).await.unwrap();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let (mut options, _errors) = runner(&through_proxy, move |mut job: CurrentJob| {
        let (outcome, proxy) = (outcome.clone(), proxy.clone());
        async move {
            let mut transaction = job.pool().begin().await?;
            sqlx::query("insert into effects values ($1)")
                .bind(job.id())
                .execute(&mut *transaction)
                .await?;
            proxy.on_next(statement, fault);
            outcome.send(job.complete_with_transaction(transaction).await)?;
            Ok(())
        }
    });
    let id = given().set_retries(0).spawn(db.pool()).await.unwrap();
    let mut handle = options.set_direct_url(db.url()).run().await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), outcomes.recv()).await;
    let answer = answer.expect("an answer within 20 s").unwrap();
    until_state(db.pool(), id, if answer.is_ok() { "" } else { "dead" }).await;
    handle.stop().await;
    (db, answer)
}

#[tokio::test]
async fn a_completion_over_a_connection_that_fell_silent_is_decided_all_the_same() {
    let (unheard, unanswered) = tokio::join!(
        complete_in_silence("mq_complete(", Fault::Silent),
        complete_in_silence("COMMIT", Fault::AnswerSilent),
    );
    let (db, answer) = unheard;
    assert!(
        answer.as_ref().is_err_and(CompleteError::is_transient),
        "{answer:?}"
    );
    assert_eq!(count_effects(&db).await, 0);
    let (db, answer) = unanswered;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(count_effects(&db).await, 1);
}
