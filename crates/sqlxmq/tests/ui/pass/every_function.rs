//! Every form of function, of result and of context, in every position.

#![deny(warnings, missing_docs)]
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sqlxmq::{Bytes, CurrentJob, JobTx, Json, NamedJob, job};

/// A documented module.
pub mod jobs {
    use super::*;

    /// A public job.
    #[job]
    pub async fn public(mut job: CurrentJob) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(job.complete().await?)
    }

    #[job]
    pub(crate) async fn of_the_crate(job: CurrentJob) -> Result<(), fmt::Error> {
        drop(job);
        Ok(())
    }

    #[job]
    pub(super) async fn of_the_parent(job: CurrentJob) -> anyhow::Result<()> {
        drop(job);
        Ok(())
    }
}

#[derive(Debug)]
enum OwnError {
    Unlucky,
}

impl fmt::Display for OwnError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("unlucky")
    }
}

impl Error for OwnError {}

#[job]
async fn own_error(_job: CurrentJob) -> Result<(), OwnError> {
    Err(OwnError::Unlucky)
}

#[job]
async fn database_error(_job: CurrentJob) -> sqlx::Result<()> {
    Err(sqlx::Error::PoolClosed)
}

#[job]
async fn text_as_error(_job: CurrentJob) -> Result<(), String> {
    Err("text is an error, too".to_owned())
}

#[job]
fn future(job: CurrentJob) -> impl Future<Output = Result<(), fmt::Error>> + Send + 'static {
    drop(job);
    std::future::ready(Ok(()))
}

#[job]
fn boxed(job: CurrentJob, number: u32) -> Pin<Box<dyn Future<Output = Result<(), fmt::Error>> + Send>> {
    drop((job, number));
    Box::pin(std::future::ready(Ok(())))
}

type Job = CurrentJob;

#[job]
async fn renamed_type(_: Job) -> Result<(), fmt::Error> {
    Ok(())
}

#[job]
async fn context(
    _job: CurrentJob,
    _text: &'static str,
    elided: &str,
    _shared: Arc<dyn Fn(&str) -> usize + Send + Sync>,
    (_left, _right): (u32, String),
) -> Result<(), fmt::Error> {
    let _ = elided;
    Ok(())
}

#[job]
async fn lifetime<'a>(_job: CurrentJob, text: &'a str, _tuple: (&'a str, u8)) -> Result<(), &'a str> {
    Err(text)
}

#[job]
#[cfg(any())]
async fn switched_off(_job: NoSuchType) -> NoSuchType {}

#[allow(unused_variables)]
#[job]
#[allow(clippy::unused_async)]
#[cfg_attr(all(), allow(unused_mut), must_use)]
#[inline]
async fn attributes(#[allow(unused_mut)] mut job: CurrentJob, unused: u32) -> Result<(), fmt::Error> {
    Ok(())
}

#[job]
#[deprecated = "for the test"]
async fn outdated(_job: CurrentJob) -> Result<(), fmt::Error> {
    Ok(())
}

// The names that the generated code uses for itself.
fn inner() -> &'static str {
    "inner"
}

#[job(proto(builder))]
async fn registry(_job: CurrentJob, current_job: u32, argument_0: u64) -> Result<(), fmt::Error> {
    let _ = (current_job, argument_0, inner(), registry.name());
    Ok(())
}

fn builder<'a, 'b>(builder: &'a mut sqlxmq::JobBuilder<'b>) -> &'a mut sqlxmq::JobBuilder<'b> {
    builder
}

#[job]
async fn r#type(_job: CurrentJob) -> Result<(), fmt::Error> {
    Ok(())
}

// What a macro hands on is in invisible groups.
macro_rules! declare {
    ($name:literal: $visibility:vis fn $function:ident($($argument:ident: $type:ty),*) -> $output:ty, $retries:expr) => {
        #[job($name, retries = $retries)]
        $visibility async fn $function($($argument: $type),*) -> $output {
            let _ = ($($argument,)*);
            Ok(())
        }
    };
}

declare!("lends": fn lends(payload: Json<String>, job: &mut CurrentJob, tx: &mut JobTx) -> Result<(), OwnError>, 3);
declare!("owns": pub(crate) fn owns(job: CurrentJob, number: u32, payload: Bytes) -> Result<(), OwnError>, 0);

#[job]
async fn where_clause<'a, 'b>(text: &'a str, _job: &'b mut CurrentJob) -> Result<(), &'a str>
where
    'a: 'b,
    u32: Copy,
{
    Err(text)
}

#[job]
async fn opaque_error(text: String) -> Result<(), impl Into<Box<dyn Error + Send + Sync>>> {
    Err(text)
}

#[tracing::instrument(skip_all)]
#[job("instrumented")]
async fn instrumented(Json(number): Json<u32>, job: &mut CurrentJob) -> Result<(), OwnError> {
    let _ = (number, job.id());
    Ok(())
}

#[doc(hidden)]
#[job]
#[tracing::instrument(skip(job), err)]
async fn instrumented_inside(Json(number): Json<u32>, job: &mut CurrentJob) -> Result<(), OwnError> {
    let _ = (number, job.id());
    Ok(())
}

const JOBS: &[fn() -> &'static NamedJob] = &[|| own_error, || jobs::public];

fn main() {
    #[job("nested")]
    async fn nested(_job: CurrentJob) -> Result<(), fmt::Error> {
        Ok(())
    }

    let list: Vec<&'static NamedJob> = vec![
        own_error, database_error, text_as_error, future, boxed, renamed_type, context, lifetime, attributes, registry, r#type,
        nested, jobs::public, jobs::of_the_crate, jobs::of_the_parent, lends, owns, where_clause, opaque_error, instrumented,
        instrumented_inside,
    ];
    assert_eq!(list.len(), 21);
    let _ = (lends.builder(&String::new()), owns.builder(b"image"));
    assert_eq!(JOBS.len(), 2);
    assert!(r#type.name().ends_with("::r#type"));
}
