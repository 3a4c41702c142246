//! The payload as an argument.

use serde::de::DeserializeOwned;
use sqlxmq_core::{BoxError, PayloadError, Verdict, Version, versioned};

use super::Call;
use crate::{Bytes, CurrentJob, Json};

/// The type behind an argument named `Json`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the JSON payload of a job",
    label = "not `sqlxmq::Json`",
    note = "`#[job]` takes an argument whose type is named `Json` for the payload: write `sqlxmq::Json<MyPayload>`"
)]
pub trait JsonPayload: Sized {
    type Value;

    fn of(value: Self::Value) -> Self;

    /// Decodes a payload of the version of the type.
    fn decode(job: &CurrentJob) -> Result<Self::Value, PayloadError>;
}

impl<T: DeserializeOwned> JsonPayload for Json<T> {
    type Value = T;

    fn of(value: T) -> Self {
        Self(value)
    }

    fn decode(job: &CurrentJob) -> Result<T, PayloadError> {
        sqlxmq_core::decode(job)
    }
}

/// The type behind an argument named `Bytes`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the binary payload of a job",
    label = "not `sqlxmq::Bytes`",
    note = "`#[job]` takes an argument whose type is named `Bytes` for the payload: write `sqlxmq::Bytes`"
)]
pub trait BytesPayload: Sized {
    fn of(bytes: Vec<u8>) -> Self;
}

impl BytesPayload for Bytes {
    fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Decodes the JSON payload, of the version of its type.
pub fn json<P: JsonPayload>(call: &mut Call, version: Version) -> Result<P, Verdict> {
    upgraded(call, version, |_, job| P::decode(job))
}

/// Decodes the JSON payload, of whatever version.
pub fn upgraded<P: JsonPayload>(
    call: &mut Call,
    version: Version,
    decode: impl FnOnce(u32, &CurrentJob) -> Result<P::Value, PayloadError>,
) -> Result<P, Verdict> {
    versioned(call.lend(), version, decode)
        .map(P::of)
        .map_err(|error| match error {
            PayloadError::TooNew { .. } => Verdict::Released(error.into()),
            error => Verdict::dead(error),
        })
}

/// Takes the binary payload.
pub fn bytes<P: BytesPayload>(call: &mut Call) -> Result<P, Verdict> {
    match call.lend().raw_bytes() {
        Some(bytes) => Ok(P::of(bytes.to_vec())),
        None => Err(Verdict::dead(PayloadError::NoBytes)),
    }
}

/// What a function given as `upgrade` may return: the next version, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "a function given as `upgrade` returns the next version of the payload, not `{Self}`",
    label = "expected `{T}` or `Result<{T}, E>`",
    note = "`fn from_v1(old: V1) -> V2`, and in `upgrade(from_v1, from_v2)` each takes what the one before returns"
)]
pub trait Upgraded<T> {
    fn upgraded(self) -> Result<T, BoxError>;
}

impl<T> Upgraded<T> for T {
    fn upgraded(self) -> Result<T, BoxError> {
        Ok(self)
    }
}

impl<T, E: Into<BoxError>> Upgraded<T> for Result<T, E> {
    fn upgraded(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }
}

/// Upgrades a payload by one version.
pub fn upgrade<New, Old, R: Upgraded<New>>(
    version: u32,
    function: impl FnOnce(Old) -> R,
    old: Old,
) -> Result<New, PayloadError> {
    function(old)
        .upgraded()
        .map_err(|source| PayloadError::Upgrade { version, source })
}
