//! What a checkpoint changes about a job. Stored by the methods of `CurrentJob`.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::config::MAX_RETRIES;
use crate::runner::complete::OwnedCheckpoint;
use crate::runner::error::CheckpointError;
use crate::store::runner::NewCheckpoint;

/// What a job is to continue from, should this attempt fail.
///
/// A payload that is not set stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint<'a> {
    keep_alive: Option<Duration>,
    extra_retries: usize,
    payload_json: Option<Cow<'a, str>>,
    payload_bytes: Option<&'a [u8]>,
}

impl<'a> Checkpoint<'a> {
    /// Returns a checkpoint that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a checkpoint that also gives the job a lease of its own, of that length. See [`CurrentJob::keep_alive`].
    ///
    /// [`CurrentJob::keep_alive`]: crate::CurrentJob::keep_alive
    pub fn new_keep_alive(duration: Duration) -> Self {
        Self {
            keep_alive: Some(duration),
            ..Self::default()
        }
    }

    /// Adds retries to those the job has. Default: 0.
    pub fn set_extra_retries(&mut self, extra_retries: usize) -> &mut Self {
        self.extra_retries = extra_retries;
        self
    }

    /// Sets the JSON payload of the next attempt, byte for byte.
    pub fn set_raw_json(&mut self, raw_json: &'a str) -> &mut Self {
        self.payload_json = Some(Cow::Borrowed(raw_json));
        self
    }

    /// Sets the binary payload of the next attempt.
    pub fn set_raw_bytes(&mut self, raw_bytes: &'a [u8]) -> &mut Self {
        self.payload_bytes = Some(raw_bytes);
        self
    }

    /// Sets the JSON payload of the next attempt.
    ///
    /// # Errors
    ///
    /// Returns an error if `value` can't be turned into JSON. The checkpoint is unchanged then.
    pub fn set_json<T: Serialize>(&mut self, value: &T) -> Result<&mut Self, serde_json::Error> {
        self.payload_json = Some(Cow::Owned(serde_json::to_string(value)?));
        Ok(self)
    }

    fn checked_retries(&self) -> Result<i32, CheckpointError> {
        i32::try_from(self.extra_retries)
            .ok()
            .filter(|retries| retries.unsigned_abs() <= MAX_RETRIES)
            .ok_or(CheckpointError::TooManyRetries {
                given: self.extra_retries,
                most: MAX_RETRIES as usize,
            })
    }

    pub(crate) fn borrowed(&self) -> Result<NewCheckpoint<'_>, CheckpointError> {
        Ok(NewCheckpoint {
            payload_json: self.payload_json.as_deref(),
            payload_bytes: self.payload_bytes,
            extra_retries: self.checked_retries()?,
            keep_alive: self.keep_alive,
        })
    }

    pub(crate) fn owned(&self) -> Result<OwnedCheckpoint, CheckpointError> {
        Ok(OwnedCheckpoint {
            payload_json: self.payload_json.as_deref().map(str::to_owned),
            payload_bytes: self.payload_bytes.map(<[u8]>::to_vec),
            extra_retries: self.checked_retries()?,
            keep_alive: self.keep_alive,
        })
    }

    pub(crate) fn gives_own_lease(&self) -> bool {
        self.keep_alive.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_retries_beyond_the_bound_are_refused() {
        let mut checkpoint = Checkpoint::new();
        assert_eq!(
            checkpoint
                .set_extra_retries(1_000_000)
                .borrowed()
                .unwrap()
                .extra_retries,
            1_000_000
        );
        for given in [1_000_001, usize::MAX] {
            let refused = checkpoint.set_extra_retries(given).borrowed();
            assert!(matches!(refused, Err(CheckpointError::TooManyRetries { .. })));
        }
    }
}
