//! What an argument of a job's function is, found out by its type: the job, an extractor, or context.
//!
//! The compiler looks for `argument_kind` on `&&&Argument<T>`, and takes the first of three traits that has it there, one
//! reference less each time. The last has it for every type, so that what fits nowhere is reported by [`check`], with a message.

use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use sqlxmq_core::{ContextNeeds, FromJob, JobRegistry, Verdict};

use super::Call;
use crate::CurrentJob;

/// The type of an argument.
pub struct Argument<T>(PhantomData<fn() -> T>);

impl<T> Argument<T> {
    /// The one value.
    pub const NEW: Self = Self(PhantomData);
}

/// First: the job by value.
pub trait IsJob {
    fn argument_kind(&self) -> TheJob;
}

impl IsJob for &&Argument<CurrentJob> {
    fn argument_kind(&self) -> TheJob {
        TheJob
    }
}

/// Second: what can be made from the job.
pub trait IsExtractor {
    fn argument_kind(&self) -> Extracted;
}

impl<T: FromJob> IsExtractor for &Argument<T> {
    fn argument_kind(&self) -> Extracted {
        Extracted
    }
}

/// Last: context.
pub trait IsContext {
    fn argument_kind(&self) -> Given;
}

impl<T> IsContext for Argument<T> {
    fn argument_kind(&self) -> Given {
        Given
    }
}

/// Whether an argument of that kind can be of the type `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be an argument of a job",
    label = "neither payload, nor `FromJob`, nor context",
    note = "context is `Clone + Send + Sync + 'static`: each job gets its own clone, on any thread. Wrap it in an `Arc`, or in `Arc<Mutex<_>>` if it is not `Sync`",
    note = "the payload is an argument `Json(payload): Json<MyPayload>` or `Bytes(payload): Bytes`, by these names: a renamed import or an alias hides it from `#[job]`",
    note = "anything else can be made from the job: implement `sqlxmq::FromJob` for it; what is lent, as `JobTx` is, is an argument `tx: &mut JobTx`"
)]
pub trait CanBe<T> {}

#[diagnostic::do_not_recommend]
impl<T> CanBe<T> for TheJob {}

#[diagnostic::do_not_recommend]
impl<T> CanBe<T> for Extracted {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> CanBe<T> for Given {}

/// Checks the type of an argument. Nothing else does, so that a mistake is reported once.
pub fn check<T, K: CanBe<T>>(_kind: K) {}

/// The job, which the function takes last: the other arguments are made from it.
pub struct TheJob;

#[allow(
    clippy::extra_unused_type_parameters,
    reason = "called as the other kinds are"
)]
impl TheJob {
    pub fn begin<T>(self, _call: &Call) -> Ready<Result<Self, Verdict>> {
        ready(Ok(self))
    }

    pub fn missing<T>(self, _registry: &JobRegistry) -> Option<&'static str> {
        None
    }

    pub fn finish(self, call: &mut Call) -> CurrentJob {
        call.hand_over()
    }
}

/// An argument that is there.
pub struct Made<T>(T);

impl<T> Made<T> {
    pub fn finish(self, _call: &mut Call) -> T {
        self.0
    }
}

/// What is made from the job.
pub struct Extracted;

impl Extracted {
    /// Boxed, because what the compiler forgets about lifetimes in a future of ours it would miss in the job's.
    pub fn begin<'a, T: FromJob + 'a>(
        self,
        call: &'a Call,
    ) -> Pin<Box<dyn Future<Output = Result<Made<T>, Verdict>> + Send + 'a>> {
        Box::pin(async move {
            let made = T::from_job(&call.input()).await;
            made.map(Made).map_err(|error| Verdict::failed(error.into()))
        })
    }

    pub fn missing<T: FromJob>(self, registry: &JobRegistry) -> Option<&'static str> {
        let mut needs = ContextNeeds::new(registry);
        T::needs(&mut needs);
        needs.missing()
    }
}

/// What `JobRegistry::set_context` was given.
pub struct Given;

impl Given {
    pub fn begin<T: 'static>(self, call: &Call) -> Ready<Result<Made<T>, Verdict>> {
        ready(Ok(Made(call.input().given_context())))
    }

    pub fn missing<T: 'static>(self, registry: &JobRegistry) -> Option<&'static str> {
        (!registry.has_context::<T>()).then(std::any::type_name::<T>)
    }
}
