//! Arguments that are made from the job.

use std::sync::Arc;

use sqlxmq::{BoxError, ContextNeeds, CurrentJob, FromJob, JobInput, JobRegistry, Json, job, permanent};

use crate::support::{errors, fast, queue, run, until, until_errors};

/// A tenant, from the channel's arguments.
#[derive(Debug, PartialEq)]
struct Tenant(u64);

impl FromJob for Tenant {
    type Error = std::num::ParseIntError;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, Self::Error> {
        input.job().channel_args().parse().map(Self)
    }
}

/// As [`Tenant`], where there is no hope for one that is none.
struct SureTenant;

impl FromJob for SureTenant {
    type Error = BoxError;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
        let _: u64 = input.job().channel_args().parse().map_err(permanent)?;
        Ok(Self)
    }
}

/// A connection's answer, from the job's pool and context.
struct Motto(String);

impl FromJob for Motto {
    type Error = sqlx::Error;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, sqlx::Error> {
        let prefix: Arc<str> = input.context();
        let answer: String = sqlx::query_scalar("select $1 || ' works'")
            .bind(&*prefix)
            .fetch_one(input.job().pool())
            .await?;
        Ok(Self(answer))
    }

    fn needs(needs: &mut ContextNeeds<'_>) {
        needs.context::<Arc<str>>();
    }
}

#[job("extracts", retries = 0)]
async fn extracts(
    Tenant(tenant): Tenant,
    Json(text): Json<String>,
    motto: Motto,
    number: u8,
    mut job: CurrentJob,
) -> Result<(), BoxError> {
    assert_eq!(
        (tenant, text.as_str(), motto.0.as_str(), number),
        (42, "text", "it works", 7)
    );
    job.complete().await?;
    Ok(())
}

#[tokio::test]
async fn arguments_come_from_the_job_its_payload_and_context_in_any_order() {
    let db = queue().await;
    let mut registry = JobRegistry::new(&[extracts]);
    registry.set_context(Arc::<str>::from("it")).set_context(7_u8);
    let mut handle = fast(registry.runner(db.pool())).await;
    let mut builder = extracts.builder(&"text".to_owned());
    let id = builder.set_channel_args("42").spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_runner_refuses_to_start_without_the_context_of_an_extractor() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@localhost:1/nothing").expect("a valid address");
    let mut registry = JobRegistry::new(&[extracts]);
    registry.set_context(7_u8);
    let error = registry.runner(&pool).run().await.expect_err("it cannot start");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let text = format!("{error}: {source:?}");
    assert!(text.contains("Arc<str>") && text.contains("`extracts`"), "{text}");
}

#[job("tenants", backoff_secs = 600)]
async fn tenants(_tenant: Tenant, _job: CurrentJob) -> Result<(), BoxError> {
    unreachable!("there is no tenant")
}

#[job("sure tenants", backoff_secs = 600)]
async fn sure_tenants(_tenant: SureTenant) {}

#[tokio::test]
async fn an_extractor_that_fails_fails_the_attempt_for_good_if_it_says_so() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[tenants, sure_tenants]).await;
    let id = tenants.builder().spawn(db.pool()).await.unwrap();
    let seen = until_errors(db.pool(), id, 1).await;
    assert_eq!(seen, ["cannot parse integer from empty string"]);
    until(db.pool(), id, "scheduled").await;
    let id = sure_tenants.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    assert_eq!(errors(db.pool(), id).await, seen);
    handle.stop().await;
}
