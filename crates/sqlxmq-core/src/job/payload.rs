//! The payload as an argument: JSON of a type, bytes, or both.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::DeserializeOwned;

use super::CurrentJob;
use crate::error::PayloadError;

/// The JSON payload of a job, as an argument of its function: `Json(email): Json<Email>`.
///
/// It makes the job's builder take the payload: `send_email.builder(&email)`. A payload that is missing or is no `T` kills the
/// job at once, with the reason: to try again would not change it.
///
/// `#[job]` knows it by this name. So it can't be imported under another, and is not `Clone`, so that the compiler notices.
#[derive(PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The binary payload of a job, as an argument of its function: `Bytes(image): Bytes`.
///
/// It makes the job's builder take the payload: `resize.builder(&image)`, or `resize.builder(&size, &image)` if there is a
/// [`Json`] as well. A job without a binary payload is dead at once.
///
/// `#[job]` knows it by this name, as it does [`Json`].
#[derive(PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// Decodes the JSON payload, which there must be.
#[doc(hidden)]
pub fn decode<T: DeserializeOwned>(job: &CurrentJob) -> Result<T, PayloadError> {
    let text = job.raw_json().ok_or(PayloadError::NoJson)?;
    serde_json::from_str(text).map_err(|source| PayloadError::Decode {
        type_name: std::any::type_name::<T>(),
        source,
    })
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Never the payload: it may hold what must not be logged.
impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").finish_non_exhaustive()
    }
}

/// Shows the length only.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes").field("len", &self.0.len()).finish()
    }
}
