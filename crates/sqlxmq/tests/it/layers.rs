//! Layers around every job: what they see, in which order, and what they can do about it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use devpg::eventually;
use sqlx::PgPool;
use sqlxmq::{
    BoxError, CurrentJob, FromJob, JobEnd, JobInput, JobPanicked, JobRegistry, JobRunnerHandle, JobTimedOut,
    Json, Next, Outcome, job, permanent,
};
use uuid::Uuid;

use crate::support::{errors, fast, queue, schedule, state, until, until_errors};

/// What was seen, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[job("does", retries = 0, timeout = "5s")]
async fn does(Json(what): Json<String>, seen: Seen) -> Result<Outcome, BoxError> {
    seen.note("function");
    match what.as_str() {
        "fail" => Err("no".into()),
        "panic" => panic!("oh"),
        "snooze" => Ok(Outcome::Snooze(Duration::from_secs(3600))),
        _ => Ok(Outcome::Done),
    }
}

/// Adds a layer that notes when it is called and what it sees.
fn noting(registry: &mut JobRegistry, seen: &Seen, name: &'static str) {
    let seen = seen.clone();
    registry.add_layer(move |job: CurrentJob, next: Next| {
        let seen = seen.clone();
        async move {
            seen.note(format!("{name} in"));
            let end = next.run(job).await;
            let ended = end
                .error()
                .map_or(format!("{:?}", end.outcome()), ToString::to_string);
            seen.note(format!("{name} out: {ended}"));
            end
        }
    });
}

fn registry() -> (JobRegistry, Seen) {
    let seen = Seen::default();
    let mut registry = JobRegistry::new(&[does]);
    registry.set_context(seen.clone()).set_error_handler(|_, _| {});
    (registry, seen)
}

async fn run(pool: &PgPool, registry: JobRegistry) -> JobRunnerHandle {
    fast(registry.runner(pool)).await
}

async fn spawned(pool: &PgPool, what: &str) -> Uuid {
    does.builder(&what.to_owned()).spawn(pool).await.unwrap()
}

#[tokio::test]
async fn the_layer_added_first_is_called_first_and_sees_the_end_last() {
    let db = queue().await;
    let (mut registry, seen) = registry();
    noting(&mut registry, &seen, "outer");
    noting(&mut registry, &seen, "inner");
    let mut handle = run(db.pool(), registry).await;
    let id = spawned(db.pool(), "do").await;
    until(db.pool(), id, "").await;
    handle.stop().await;
    let done = "Some(Done)";
    assert_eq!(
        seen.all(),
        [
            "outer in".to_owned(),
            "inner in".to_owned(),
            "function".to_owned(),
            format!("inner out: {done}"),
            format!("outer out: {done}")
        ]
    );
}

#[tokio::test]
async fn layers_see_the_job_and_every_way_an_attempt_can_end() {
    let db = queue().await;
    let (mut registry, seen) = registry();
    registry.add_layer({
        let seen = seen.clone();
        move |job: CurrentJob, next: Next| {
            let seen = seen.clone();
            async move {
                let about = format!(
                    "{} {} {} {}",
                    job.name(),
                    job.channel_name(),
                    job.channel_args(),
                    job.attempt()
                );
                let id = job.id();
                let end = next.run(job).await;
                let panicked = end.error().is_some_and(|error| error.is::<JobPanicked>());
                seen.note(format!(
                    "{id} {about} {:?} {panicked}",
                    end.error().map(ToString::to_string)
                ));
                end
            }
        }
    });
    let mut handle = run(db.pool(), registry).await;
    for (what, state, error) in [
        ("do", "", "None false"),
        ("fail", "dead", "Some(\"no\") false"),
        ("panic", "dead", "Some(\"the job panicked: oh\") true"),
        ("snooze", "scheduled", "None false"),
    ] {
        let mut builder = does.builder(&what.to_owned());
        builder.set_channel_name("mail").set_channel_args("7");
        let id = builder.spawn(db.pool()).await.unwrap();
        until(db.pool(), id, state).await;
        assert_eq!(seen.all().last(), Some(&format!("{id} does mail 7 1 {error}")));
    }
    handle.stop().await;
}

#[job("never ends", retries = 0, timeout = "50ms")]
async fn never_ends(_job: CurrentJob) {
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn layers_see_that_a_job_has_run_into_its_timeout() {
    let db = queue().await;
    let seen = Seen::default();
    let mut registry = JobRegistry::new(&[never_ends]);
    registry.add_layer({
        let seen = seen.clone();
        move |job: CurrentJob, next: Next| {
            let seen = seen.clone();
            async move {
                let end = next.run(job).await;
                seen.note(
                    end.error()
                        .is_some_and(|error| error.is::<JobTimedOut>())
                        .to_string(),
                );
                end
            }
        }
    });
    let mut handle = run(db.pool(), registry).await;
    let id = never_ends.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(seen.all(), ["true"]);
}

#[derive(Debug, Clone, PartialEq)]
struct Tenant(u64);

/// Made from what a layer provides.
struct Greeting(String);

impl FromJob for Greeting {
    type Error = BoxError;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
        Ok(Self(format!("hello {}", input.context::<Tenant>().0)))
    }

    fn needs(needs: &mut sqlxmq::ContextNeeds<'_>) {
        needs.context::<Tenant>();
    }
}

#[job("of a tenant", retries = 0)]
async fn of_a_tenant(
    tenant: Tenant,
    greeting: Greeting,
    job: CurrentJob,
    seen: Seen,
) -> Result<(), BoxError> {
    let mut job = job;
    seen.note(format!(
        "{} {} {:?}",
        tenant.0,
        greeting.0,
        job.context::<Tenant>()
    ));
    job.complete().await?;
    Ok(())
}

async fn tenant_of_the_channel(mut job: CurrentJob, next: Next) -> Result<JobEnd, BoxError> {
    let tenant = Tenant(job.channel_args().parse().map_err(permanent)?);
    job.set_context(tenant);
    Ok(next.run(job).await)
}

#[tokio::test]
async fn a_layer_provides_context_for_one_attempt_ahead_of_the_registrys() {
    let db = queue().await;
    let seen = Seen::default();
    let mut registry = JobRegistry::new(&[of_a_tenant]);
    registry.set_context(seen.clone()).set_context(Tenant(0));
    registry
        .add_layer(tenant_of_the_channel)
        .set_error_handler(|_, _| {});
    let mut handle = run(db.pool(), registry).await;
    for args in ["41", "42"] {
        let mut builder = of_a_tenant.builder();
        let id = builder.set_channel_args(args).spawn(db.pool()).await.unwrap();
        until(db.pool(), id, "").await;
    }
    assert_eq!(
        seen.all(),
        ["41 hello 41 Some(Tenant(41))", "42 hello 42 Some(Tenant(42))"]
    );
    // The error of a layer is that of the attempt; here it is permanent.
    let id = of_a_tenant
        .builder()
        .set_retries(3)
        .spawn(db.pool())
        .await
        .unwrap();
    until(db.pool(), id, "dead").await;
    assert_eq!(
        errors(db.pool(), id).await,
        ["cannot parse integer from empty string"]
    );
    handle.stop().await;
}

#[tokio::test]
async fn context_that_layers_provide_is_promised_or_the_runner_does_not_start() {
    let db = queue().await;
    let mut registry = JobRegistry::new(&[of_a_tenant]);
    registry.set_context(Seen::default()).set_error_handler(|_, _| {});
    registry
        .runner(db.pool())
        .run()
        .await
        .expect_err("there is no tenant");

    let mut registry = JobRegistry::new(&[of_a_tenant]);
    registry.set_context(Seen::default()).set_error_handler(|_, _| {});
    registry.promise_context::<Tenant>();
    let mut handle = run(db.pool(), registry).await;
    let id = of_a_tenant.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    let seen = errors(db.pool(), id).await.concat();
    assert!(
        seen.contains("no layer has provided") && seen.contains("Tenant"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_layer_ends_an_attempt_without_running_its_function() {
    let db = queue().await;
    let (mut registry, seen) = registry();
    registry.add_layer(async |job: CurrentJob, next: Next| {
        let what: String = job.json()?.unwrap_or_default();
        let hour = Duration::from_secs(3600);
        Ok::<_, BoxError>(match what.as_str() {
            "skip" => JobEnd::new(job, Outcome::Done),
            "put off" => JobEnd::new(job, Outcome::Snooze(hour)),
            "retry" => JobEnd::new(job, Outcome::Retry { after: hour }),
            "bury" => JobEnd::new(job, Outcome::dead("not allowed")),
            "error" => Err("no right")?,
            "panic" => panic!("in a layer"),
            _ => next.run(job).await,
        })
    });
    let mut handle = run(db.pool(), registry).await;
    for (what, expected, error) in [
        ("skip", "", None),
        ("put off", "scheduled", None),
        (
            "retry",
            "scheduled",
            Some("the job asked to be tried again after 3600s"),
        ),
        ("bury", "dead", Some("not allowed")),
        ("error", "scheduled", Some("no right")),
        ("panic", "scheduled", Some("the job panicked: in a layer")),
    ] {
        let mut builder = does.builder(&what.to_owned());
        builder.set_retries(2).set_retry_backoff(Duration::from_secs(600));
        let id = builder.spawn(db.pool()).await.unwrap();
        until(db.pool(), id, expected).await;
        assert_eq!(
            errors(db.pool(), id).await.first().map(String::as_str),
            error,
            "{what}"
        );
        if expected == "scheduled" {
            let (attempts, _) = schedule(db.pool(), id).await;
            assert_eq!(attempts, i32::from(what != "put off"), "{what}");
        }
    }
    handle.stop().await;
    assert_eq!(seen.all(), [""; 0]);
}

#[tokio::test]
async fn a_panic_of_an_inner_layer_is_an_end_for_the_outer_one() {
    let db = queue().await;
    let (mut registry, seen) = registry();
    noting(&mut registry, &seen, "outer");
    registry.add_layer(async |_job: CurrentJob, _next: Next| -> JobEnd { panic!("inside") });
    let mut handle = run(db.pool(), registry).await;
    let id = spawned(db.pool(), "do").await;
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(seen.all(), ["outer in", "outer out: the job panicked: inside"]);
}

#[tokio::test]
async fn a_layer_changes_how_an_attempt_ends() {
    let db = queue().await;
    let (mut registry, _) = registry();
    registry.add_layer(async |job: CurrentJob, next: Next| {
        let what: Option<String> = job.json().ok().flatten();
        let mut end = next.run(job).await;
        match what.as_deref() {
            Some("do") => end.set_error(permanent("audited")),
            Some("fail") => end.set_outcome(Outcome::Snooze(Duration::from_secs(3600))),
            _ => &mut end,
        };
        end
    });
    let mut handle = run(db.pool(), registry).await;
    let (done, failed) = (spawned(db.pool(), "do").await, spawned(db.pool(), "fail").await);
    until(db.pool(), done, "dead").await;
    assert_eq!(errors(db.pool(), done).await, ["audited"]);
    until(db.pool(), failed, "scheduled").await;
    assert_eq!(schedule(db.pool(), failed).await.0, 0);
    handle.stop().await;
}

#[tokio::test]
async fn a_layer_completes_a_job_in_a_transaction_of_its_own() {
    let db = queue().await;
    sqlx::raw_sql("create table effects (job uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let (mut registry, _) = registry();
    registry.add_layer(async |job: CurrentJob, next: Next| {
        let mut transaction = job.pool().begin().await?;
        sqlx::query("insert into effects values ($1)")
            .bind(job.id())
            .execute(&mut *transaction)
            .await?;
        let mut end = next.run(job).await;
        if let Some(job) = end.job_to_complete() {
            job.complete_with_transaction(transaction).await?;
        }
        Ok::<_, BoxError>(end)
    });
    let mut handle = run(db.pool(), registry).await;
    let (done, failed) = (spawned(db.pool(), "do").await, spawned(db.pool(), "fail").await);
    until(db.pool(), done, "").await;
    until(db.pool(), failed, "dead").await;
    handle.stop().await;
    let effects: Vec<Uuid> = sqlx::query_scalar("select job from effects")
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(effects, [done]);
}

#[tokio::test]
async fn a_layer_that_drops_its_job_has_failed_it() {
    let db = queue().await;
    let (mut registry, _) = registry();
    registry.add_layer(async |job: CurrentJob, next: Next| {
        drop((job, next));
        Err::<JobEnd, BoxError>("gone".into())
    });
    let mut handle = run(db.pool(), registry).await;
    let id = spawned(db.pool(), "do").await;
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(errors(db.pool(), id).await, ["gone"]);
}

#[tokio::test]
async fn a_layer_that_waits_is_told_when_its_job_is_cancelled() {
    let db = queue().await;
    let (mut registry, seen) = registry();
    registry.add_layer({
        let seen = seen.clone();
        move |job: CurrentJob, next: Next| {
            let seen = seen.clone();
            async move {
                seen.note("waits");
                job.cancelled().cancelled().await;
                seen.note("told");
                next.run(job).await
            }
        }
    });
    let mut handle = run(db.pool(), registry).await;
    let id = spawned(db.pool(), "do").await;
    eventually("the layer to wait", async || match seen.all().is_empty() {
        true => Err("not called".to_owned()),
        false => Ok(()),
    })
    .await;
    sqlxmq::cancel(db.pool(), &[id]).await.unwrap();
    eventually("the function to run", async || match seen.all().len() {
        3 => Ok(()),
        seen => Err(seen.to_string()),
    })
    .await;
    handle.stop().await;
    assert_eq!(seen.all(), ["waits", "told", "function"]);
    assert_eq!(state(db.pool(), id).await, "");
}

#[tokio::test]
async fn a_layer_that_gives_up_waiting_drops_what_is_inside() {
    let db = queue().await;
    let mut registry = JobRegistry::new(&[never_ends]);
    registry.set_error_handler(|_, _| {});
    registry.add_layer(async |job: CurrentJob, next: Next| {
        tokio::time::timeout(Duration::from_millis(1), next.run(job)).await
    });
    let mut handle = run(db.pool(), registry).await;
    let id = never_ends.builder().spawn(db.pool()).await.unwrap();
    assert_eq!(until_errors(db.pool(), id, 1).await, ["deadline has elapsed"]);
    handle.stop().await;
}
