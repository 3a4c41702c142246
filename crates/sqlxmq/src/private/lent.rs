//! An argument that is lent to a job's function, and finished after it.

use std::future::Future;
use std::pin::Pin;

use sqlxmq_core::{ContextNeeds, JobEnd, JobRegistry, LendToJob, Verdict};

use super::{Argument, Call};
use crate::BoxError;

/// How a value is finished.
type Finish<T> =
    for<'e> fn(T, &'e mut JobEnd) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'e>>;

/// A value while it is lent.
pub struct Lent<T> {
    value: T,
    /// Kept with it, so that the type is checked once.
    finish: Finish<T>,
}

/// Makes the value. Nothing else checks its type, so that a mistake is reported once.
pub fn lend<'a, T: LendToJob>(
    call: &'a Call,
) -> Pin<Box<dyn Future<Output = Result<Lent<T>, Verdict>> + Send + 'a>> {
    Box::pin(async move {
        match T::begin(&call.input()).await {
            Ok(value) => Ok(Lent {
                value,
                finish: |value, end| Box::pin(async move { value.finish(end).await.map_err(Into::into) }),
            }),
            Err(error) => Err(Verdict::failed(error.into())),
        }
    })
}

impl<T> Lent<T> {
    pub fn value(&mut self) -> &mut T {
        &mut self.value
    }

    pub async fn finish(self, end: &mut JobEnd) {
        if let Err(error) = (self.finish)(self.value, end).await {
            end.fail_after(error);
        }
    }
}

/// What a lent argument needs.
pub trait IsLent {
    fn missing(&self, registry: &JobRegistry) -> Option<&'static str>;
}

impl<T: LendToJob> IsLent for &Argument<T> {
    fn missing(&self, registry: &JobRegistry) -> Option<&'static str> {
        let mut needs = ContextNeeds::new(registry);
        T::needs(&mut needs);
        needs.missing()
    }
}

/// For a type that [`lend`] reports.
pub trait IsNotLent {
    fn missing(&self, registry: &JobRegistry) -> Option<&'static str>;
}

impl<T> IsNotLent for Argument<T> {
    fn missing(&self, _registry: &JobRegistry) -> Option<&'static str> {
        None
    }
}
