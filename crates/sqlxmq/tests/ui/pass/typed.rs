//! Every form of payload, of extractor, of outcome, and of who completes.

#![deny(warnings, missing_docs)]
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::time::Duration;

use sqlxmq::{
    BoxError, Bytes, ContextNeeds, CurrentJob, FromJob, Job, JobBuilder, JobError, JobInput, JobRegistry, Json, NamedJob,
    Outcome, job, permanent,
};

#[derive(serde::Serialize, serde::Deserialize)]
struct Email {
    to: String,
}

#[job]
async fn nothing_at_all() {}

#[job]
async fn lent(job: &mut CurrentJob) -> Result<(), BoxError> {
    Ok(job.complete().await?)
}

#[job]
async fn looked_at(job: &CurrentJob, text: &'static str) -> Outcome {
    match job.attempt() {
        1 => Outcome::Snooze(Duration::from_secs(1)),
        _ => Outcome::dead(text),
    }
}

#[job]
async fn lent_last<'a>(text: String, Json(email): Json<Email>, job: &'a mut CurrentJob) -> Result<Outcome, &'a str> {
    match email.to == text {
        true => Ok(Outcome::Done),
        false => Err(job.name()),
    }
}

#[job]
async fn owned_last(Json(_): Json<Email>, _number: u32, mut job: CurrentJob) -> Result<(), BoxError> {
    Ok(job.complete().await?)
}

#[job(ordered)]
async fn json(email: Json<Email>) -> anyhow::Result<()> {
    anyhow::ensure!(!email.to.is_empty());
    Ok(())
}

#[job]
async fn path(sqlxmq::Json(number): sqlxmq::Json<Option<u32>>) -> anyhow::Result<Outcome> {
    let Some(number) = number else {
        return Err(permanent("no number").into());
    };
    Ok(Outcome::Retry { after: Duration::from_secs(number.into()) })
}

#[job]
async fn bytes(Bytes(image): Bytes) -> Result<(), DeclinedError> {
    match image.len() {
        0 => Err(DeclinedError),
        _ => Ok(()),
    }
}

#[job]
async fn could_borrow(Json(text): Json<std::borrow::Cow<'static, str>>, _: (Vec<u8>,)) -> Result<(), String> {
    Err(text.into_owned())
}

#[job]
async fn in_parts(Json(Letter { to, .. }): Json<Letter<Option<Email>, { 1 + 1 }>>) {
    drop(to);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Letter<T, const PAGES: usize> {
    to: T,
    from: String,
}

#[job]
async fn both(Bytes(_image): Bytes, Json(_size): Json<(u32, u32)>) -> Result<(), String> {
    Ok(())
}

#[job]
fn not_async(Json(_): Json<Vec<u8>>) -> impl Future<Output = ()> {
    std::future::ready(())
}

#[derive(Debug)]
struct DeclinedError;

impl fmt::Display for DeclinedError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("declined")
    }
}

impl Error for DeclinedError {}

impl JobError for DeclinedError {
    fn is_permanent(&self) -> bool {
        true
    }
}

/// What a tenant's jobs are told apart by.
#[derive(Clone)]
struct Tenant(u64);

impl FromJob for Tenant {
    type Error = BoxError;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
        let _: &'static str = input.context();
        Ok(Self(input.job().channel_args().parse().map_err(permanent)?))
    }

    fn needs(needs: &mut ContextNeeds<'_>) {
        needs.context::<&'static str>();
    }
}

struct Owned<T>(T);

impl<T: Send> FromJob for Owned<T>
where
    T: From<u32>,
{
    type Error = std::convert::Infallible;

    async fn from_job(input: &JobInput<'_>) -> Result<Self, Self::Error> {
        Ok(Self(input.job().attempt().into()))
    }
}

#[job]
async fn extracted(Tenant(_tenant): Tenant, Owned(_attempt): Owned<u64>, _job: CurrentJob) -> Result<(), BoxError> {
    Ok(())
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Address {
    first: String,
    last: String,
}

fn from_v1(text: String) -> Email {
    Email { to: text }
}

fn from_v2(email: Email) -> Result<Address, BoxError> {
    let (first, last) = email.to.split_once(' ').ok_or("no space")?;
    Ok(Address { first: first.to_owned(), last: last.to_owned() })
}

#[job("post", version = 3, upgrade(from_v1, from_v2))]
async fn third_version(Json(_address): Json<Address>) -> Result<(), BoxError> {
    Ok(())
}

#[job(version = 2, upgrade = crate::from_v1)]
async fn second_version(_job: CurrentJob, Json(_email): Json<Email>) -> Result<(), BoxError> {
    Ok(())
}

static A_JOB: fn() -> &'static NamedJob = || both.named();

fn proto<'a, 'b, P>(builder: &'a mut JobBuilder<'b, P>) -> &'a mut JobBuilder<'b, P> {
    builder.set_retries(3)
}

fn main() {
    let email = Email { to: "pip".to_owned() };
    let typed: &'static Job<Json<Email>> = json;
    let mut builder: JobBuilder<'static, Json<Email>> = typed.builder(&email);
    builder.set_proto(proto).set_channel_args("7");
    let image = vec![0];
    let jobs: Vec<JobBuilder<'_, _>> = vec![bytes.builder(&image), bytes.builder(&[])];
    assert_eq!(jobs[1].clone().as_ref().name(), bytes.name());
    both.builder_with_id(uuid::Uuid::now_v7(), &(1, 2), b"image").set_ordered(true);
    assert_eq!(third_version.name(), "post");

    let list: Vec<&'static NamedJob> = vec![
        nothing_at_all, lent, looked_at, lent_last, owned_last, json, path, bytes, both, not_async, extracted, third_version,
        second_version, could_borrow, in_parts,
    ];
    let _ = JobRegistry::new(&[json, lent, bytes]).without(&[both]);
    assert_eq!(list[8].name(), A_JOB().name());
}
