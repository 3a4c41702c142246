//! What a runner can be told, and what it refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlxmq_core::{CurrentJob, JobBuilder, JobRegistry, JobRunnerOptions, RegistryError, RunError};
use tokio_util::task::TaskTracker;

use crate::runner_support::{errors_of, given, runner, spawn_given, until_errors, until_state};
use crate::support::{queue, states};

#[tokio::test]
async fn impossible_options_are_refused_with_a_reason() {
    let db = queue().await;
    let (good, _errors) = runner(db.pool(), |_job: CurrentJob| async move { Ok(()) });
    let refused = async |change: fn(&mut JobRunnerOptions)| {
        let mut options = good.clone();
        change(&mut options);
        options.run().await.map(|_| ()).unwrap_err()
    };
    let zero = refused(|options| _ = options.set_concurrency(0, 8)).await;
    assert!(matches!(zero, RunError::Concurrency { min: 0, max: 8 }), "{zero}");
    let crossed = refused(|options| _ = options.set_concurrency(4, 2)).await;
    assert!(
        matches!(crossed, RunError::Concurrency { min: 4, max: 2 }),
        "{crossed}"
    );
    let short = refused(|options| _ = options.set_lease(Duration::from_millis(999))).await;
    assert!(
        matches!(
            short,
            RunError::TooShort {
                option: "set_lease",
                ..
            }
        ),
        "{short}"
    );
    let busy = refused(|options| _ = options.set_poll_interval(Duration::ZERO)).await;
    assert!(
        matches!(
            busy,
            RunError::TooShort {
                option: "set_poll_interval",
                ..
            }
        ),
        "{busy}"
    );
    let nothing = refused(|options| _ = options.set_channel_names(&[])).await;
    assert!(matches!(nothing, RunError::NoChannels), "{nothing}");
    let nowhere = refused(|options| _ = options.set_direct_url("postgres://localhost:1/x")).await;
    assert!(
        matches!(nowhere, RunError::Connect { role: "claim", .. }),
        "{nowhere}"
    );
    assert!(nowhere.is_transient());
    let garbled = refused(|options| _ = options.set_direct_url("::")).await;
    assert!(matches!(garbled, RunError::DirectUrl { .. }), "{garbled}");
}

#[tokio::test]
async fn an_empty_registry_and_a_missing_schema_are_refused() {
    let db = TestDb::create_empty().await;
    let empty = JobRegistry::new(&[]).runner(db.pool()).run().await.unwrap_err();
    assert!(
        matches!(
            empty,
            RunError::Registry {
                source: RegistryError::Empty
            }
        ),
        "{empty}"
    );
    let missing = JobRunnerOptions::new(db.pool(), drop).run().await.unwrap_err();
    assert!(matches!(missing, RunError::SchemaMissing), "{missing}");
}

#[tokio::test]
async fn no_more_jobs_run_at_a_time_than_allowed() {
    let db = queue().await;
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let (mut options, _errors) = runner(db.pool(), move |mut job: CurrentJob| {
        let (running, most) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            job.complete().await?;
            Ok(())
        }
    });
    let mut last = None;
    for _ in 0..40 {
        last = Some(spawn_given(db.pool()).await);
    }
    let mut handle = options.set_concurrency(2, 5).run().await.unwrap();
    until_state(db.pool(), last.unwrap(), "").await;
    handle.wait_jobs_finish(Duration::from_secs(20)).await;
    handle.stop().await;
    let most = most.load(Ordering::SeqCst);
    assert!((2..=5).contains(&most), "{most}");
}

#[tokio::test]
async fn a_closure_gets_every_job_of_its_channels() {
    let db = queue().await;
    let tasks = TaskTracker::new();
    let on_tasks = tasks.clone();
    let mut options = JobRunnerOptions::new(db.pool(), move |mut job: CurrentJob| {
        on_tasks.spawn(async move {
            let _ = job.complete().await;
        });
    });
    let here = JobBuilder::new("a")
        .set_channel_name("here")
        .spawn(db.pool())
        .await
        .unwrap();
    let also = JobBuilder::new("b")
        .set_channel_name("here")
        .set_channel_args("42")
        .spawn(db.pool())
        .await
        .unwrap();
    let elsewhere = JobBuilder::new("a")
        .set_channel_name("there")
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = options.set_channel_names(&["here"]).run().await.unwrap();
    until_state(db.pool(), here, "").await;
    until_state(db.pool(), also, "").await;
    handle.stop().await;
    assert_eq!(states(db.pool(), elsewhere).await, ["ready"]);
}

#[tokio::test]
async fn a_closure_that_drops_or_panics_fails_the_job() {
    let db = queue().await;
    let options = JobRunnerOptions::new(db.pool(), |job: CurrentJob| {
        assert!(job.name() != "panics", "not this one");
    });
    let dropped = JobBuilder::new("drops").spawn(db.pool()).await.unwrap();
    let panicked = JobBuilder::new("panics").spawn(db.pool()).await.unwrap();
    let mut handle = options.run().await.unwrap();
    assert_eq!(
        until_errors(db.pool(), dropped, 1).await[0].1,
        "the job was dropped without being completed: call its `complete`, or take it as `&mut CurrentJob`"
    );
    assert_eq!(
        until_errors(db.pool(), panicked, 1).await[0].1,
        "the job panicked: not this one"
    );
    handle.stop().await;
}

#[tokio::test]
async fn names_that_are_unknown_here_are_left_to_others() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let foreign = JobBuilder::new("foreign").spawn(db.pool()).await.unwrap();
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    assert_eq!(states(db.pool(), foreign).await, ["ready"]);
    assert_eq!(errors_of(db.pool(), foreign).await, []);
}

#[tokio::test]
async fn health_tells_of_the_last_claim_and_the_connections() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let mut handle = options.run().await.unwrap();
    let id = spawn_given(db.pool()).await;
    until_state(db.pool(), id, "").await;
    eventually("good health", async || {
        let health = handle.health();
        let is_good = health.connected
            && health.listening
            && health.last_claim.is_some_and(|age| age < Duration::from_secs(5))
            && health.last_renewal.is_some()
            && health.running_jobs == 0
            && !health.stopping;
        if is_good {
            Ok(())
        } else {
            Err(format!("{health:?}"))
        }
    })
    .await;
    handle.stop().await;
}

#[tokio::test]
async fn the_runner_does_not_need_the_pool() {
    let db = queue().await;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect(db.url())
        .await
        .unwrap();
    let (options, _errors) = runner(&pool, |mut job: CurrentJob| async move {
        // The only connection there is.
        let _held = job.pool().acquire().await?;
        job.complete().await?;
        Ok(())
    });
    let _held = pool.acquire().await.unwrap();
    let (idle, _errors) = runner(&pool, |mut job: CurrentJob| async move {
        job.complete().await?;
        Ok(())
    });
    let id = spawn_given(db.pool()).await;
    let mut handle = idle.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
    drop(_held);
    let id = spawn_given(db.pool()).await;
    let mut handle = options.run().await.unwrap();
    until_state(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn test_one_runs_one_job_to_its_end() {
    let db = queue().await;
    let (options, mut errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match job.json::<bool>()? {
            Some(true) => Ok(job.complete().await?),
            _ => Err("as told".into()),
        }
    });
    let good = given().set_json(&true).unwrap().spawn(db.pool()).await.unwrap();
    options.test_one().await.unwrap();
    assert!(states(db.pool(), good).await.is_empty());
    let bad = given().set_json(&false).unwrap().spawn(db.pool()).await.unwrap();
    options.test_one().await.unwrap();
    assert_eq!(errors_of(db.pool(), bad).await, [(1, "as told".to_owned())]);
    assert_eq!(errors.try_recv().unwrap().1, "as told");
}

#[tokio::test]
async fn test_one_leaves_the_next_in_line_for_later() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |mut job: CurrentJob| async move {
        Ok(job.complete().await?)
    });
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(given().set_ordered(true).spawn(db.pool()).await.unwrap());
    }
    options.test_one().await.unwrap();
    assert!(states(db.pool(), ids[0]).await.is_empty());
    assert_eq!(states(db.pool(), ids[1]).await, ["ready"]);
    options.test_one().await.unwrap();
    assert!(states(db.pool(), ids[1]).await.is_empty());
}

#[tokio::test]
#[should_panic(expected = "no job is ready to run")]
async fn test_one_panics_if_nothing_is_ready() {
    let db = queue().await;
    let (options, _errors) = runner(db.pool(), |_job: CurrentJob| async move { Ok(()) });
    let _ = options.test_one().await;
}
