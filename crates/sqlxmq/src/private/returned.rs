//! What a job's function returned, judged by its type as arguments are: an error that knows about the next attempt, one that
//! can be looked into, or any other.

use std::error::Error;
use std::marker::PhantomData;

use sqlxmq_core::{BoxError, JobError, Outcome, Verdict};

/// The type of what was returned.
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    pub fn of(_: &R) -> Self {
        Self(PhantomData)
    }
}

/// What stands in an `Ok`, or alone.
pub trait IntoOutcome {
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

/// First: the error has an opinion.
pub trait IsTold {
    fn result_kind(&self) -> Told;
}

impl<O: IntoOutcome, E: JobError + Into<BoxError>> IsTold for &&Returned<Result<O, E>> {
    fn result_kind(&self) -> Told {
        Told
    }
}

/// Second: the error hides its type when it is boxed, as `anyhow::Error` does, and shows it before.
pub trait IsOpen {
    fn result_kind(&self) -> Open;
}

impl<O, E> IsOpen for &Returned<Result<O, E>>
where
    O: IntoOutcome,
    E: AsRef<dyn Error + Send + Sync> + Into<BoxError>,
{
    fn result_kind(&self) -> Open {
        Open
    }
}

/// Last: anything, or what cannot be returned.
pub trait IsPlain {
    fn result_kind(&self) -> Plain;
}

impl<R> IsPlain for Returned<R> {
    fn result_kind(&self) -> Plain {
        Plain
    }
}

/// What is made of a result of one kind.
#[diagnostic::on_unimplemented(
    message = "a job cannot return `{R}`",
    label = "expected `Result<(), E>`",
    note = "a job returns nothing, an `Outcome`, `Result<(), E>` or `Result<Outcome, E>`",
    note = "`E` is any error that converts into `Box<dyn Error + Send + Sync>`: `anyhow::Error`, `sqlx::Error`, your own enum that is a `std::error::Error`; `JobError` comes on top of that"
)]
pub trait Judge<R> {
    fn verdict_on(returned: R) -> Verdict;
}

/// Judges what was returned, with the check of its type.
pub fn judge<R, K: Judge<R>>(_kind: K, returned: R) -> Verdict {
    K::verdict_on(returned)
}

pub struct Told;

#[diagnostic::do_not_recommend]
impl<O: IntoOutcome, E: JobError + Into<BoxError>> Judge<Result<O, E>> for Told {
    fn verdict_on(result: Result<O, E>) -> Verdict {
        match result {
            Ok(outcome) => Verdict::Returned(outcome.into_outcome()),
            Err(error) => Verdict::told(error),
        }
    }
}

pub struct Open;

#[diagnostic::do_not_recommend]
impl<O, E> Judge<Result<O, E>> for Open
where
    O: IntoOutcome,
    E: AsRef<dyn Error + Send + Sync> + Into<BoxError>,
{
    fn verdict_on(result: Result<O, E>) -> Verdict {
        match result {
            Ok(outcome) => Verdict::Returned(outcome.into_outcome()),
            Err(error) => Verdict::open(error),
        }
    }
}

pub struct Plain;

#[diagnostic::do_not_recommend]
impl<R: JobResult> Judge<R> for Plain {
    fn verdict_on(returned: R) -> Verdict {
        returned.verdict()
    }
}

/// What a job may return.
pub trait JobResult {
    fn verdict(self) -> Verdict;
}

impl JobResult for () {
    fn verdict(self) -> Verdict {
        Verdict::Returned(Outcome::Done)
    }
}

impl JobResult for Outcome {
    fn verdict(self) -> Verdict {
        Verdict::Returned(self)
    }
}

impl<O: IntoOutcome, E: Into<BoxError>> JobResult for Result<O, E> {
    fn verdict(self) -> Verdict {
        match self {
            Ok(outcome) => Verdict::Returned(outcome.into_outcome()),
            Err(error) => Verdict::failed(error.into()),
        }
    }
}
