//! What a checkpoint changes about a job. Stored by the methods of `CurrentJob`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::config::{MAX_PAYLOAD_BYTES, MAX_RETRIES};
use crate::error::InvalidJob;
use crate::runner::complete::OwnedCheckpoint;
use crate::runner::error::{CheckpointError, LeaseTooLong};
use crate::store::runner::NewCheckpoint;

use super::version::marked;

/// What a job is to continue from, should this attempt fail.
///
/// A payload that is not set stays as it is. Setters keep what they are given; the methods of `CurrentJob` that store the
/// checkpoint refuse JSON that is none, and more than [`MAX_PAYLOAD_BYTES`] (the limit of the job's builder is not
/// looked at).
#[derive(Clone, Default)]
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

    fn checked_lease(&self) -> Result<Option<Duration>, CheckpointError> {
        if let Some(duration) = self.keep_alive {
            LeaseTooLong::check(duration)?;
        }
        Ok(self.keep_alive)
    }

    fn check_payload(&self) -> Result<(), CheckpointError> {
        let invalid = |source| CheckpointError::Invalid { source };
        // Owned is what serde_json has written.
        if let Some(Cow::Borrowed(raw)) = self.payload_json {
            serde_json::from_str::<IgnoredAny>(raw).map_err(|source| invalid(InvalidJob::Json { source }))?;
        }
        let bytes = self.payload_json.as_ref().map_or(0, |json| json.len())
            + self.payload_bytes.map_or(0, <[u8]>::len);
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(invalid(InvalidJob::PayloadTooLarge {
                bytes,
                limit: MAX_PAYLOAD_BYTES,
            }));
        }
        Ok(())
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

    /// Returns the checkpoint with the version of its JSON noted inside, for a job whose name says another.
    pub(super) fn of_version(&self, version: Option<u32>) -> Checkpoint<'_> {
        let payload_json = match (version, &self.payload_json) {
            // JSON that is none stays as it is, to be refused.
            (Some(version), Some(json)) if serde_json::from_str::<IgnoredAny>(json).is_ok() => {
                Some(Cow::Owned(marked(version, json)))
            }
            (_, json) => json.as_deref().map(Cow::Borrowed),
        };
        Checkpoint {
            payload_json,
            ..self.clone()
        }
    }

    pub(crate) fn borrowed(&self) -> Result<NewCheckpoint<'_>, CheckpointError> {
        self.check_payload()?;
        Ok(NewCheckpoint {
            payload_json: self.payload_json.as_deref(),
            payload_bytes: self.payload_bytes,
            extra_retries: self.checked_retries()?,
            keep_alive: self.checked_lease()?,
        })
    }

    pub(crate) fn owned(&self) -> Result<OwnedCheckpoint, CheckpointError> {
        self.check_payload()?;
        Ok(OwnedCheckpoint {
            payload_json: self.payload_json.as_deref().map(str::to_owned),
            payload_bytes: self.payload_bytes.map(<[u8]>::to_vec),
            extra_retries: self.checked_retries()?,
            keep_alive: self.checked_lease()?,
        })
    }

    pub(crate) fn gives_own_lease(&self) -> bool {
        self.keep_alive.is_some()
    }
}

/// Shows the length of the payload only: payloads hold what must not be logged.
impl fmt::Debug for Checkpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("keep_alive", &self.keep_alive)
            .field("extra_retries", &self.extra_retries)
            .field("json_bytes", &self.payload_json.as_ref().map(|json| json.len()))
            .field("binary_bytes", &self.payload_bytes.map(<[u8]>::len))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MAX_DURATION;

    #[test]
    fn debug_output_does_not_show_payloads() {
        let mut checkpoint = Checkpoint::new();
        checkpoint.set_raw_bytes(b"sesame").set_json(&"sesame").unwrap();
        let shown = format!("{checkpoint:?}");
        assert!(
            !shown.contains("sesame") && !shown.contains("115, 101"),
            "{shown}"
        );
        assert!(
            shown.contains("json_bytes: Some(8)") && shown.contains("binary_bytes: Some(6)"),
            "{shown}"
        );
    }

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

    #[test]
    fn leases_that_no_clock_can_hold_are_refused() {
        let longest = Checkpoint::new_keep_alive(MAX_DURATION);
        assert_eq!(longest.borrowed().unwrap().keep_alive, Some(MAX_DURATION));
        for given in [MAX_DURATION + Duration::from_nanos(1), Duration::MAX] {
            let checkpoint = Checkpoint::new_keep_alive(given);
            for refused in [checkpoint.borrowed().err(), checkpoint.owned().err()] {
                match refused {
                    Some(CheckpointError::TooLong { source }) => assert_eq!(source.given, given),
                    other => panic!("{given:?}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn payloads_that_no_job_can_have_are_refused() {
        let mut checkpoint = Checkpoint::new();
        for raw in ["", "{not json", "\"\0\""] {
            let refused = checkpoint.set_raw_json(raw).borrowed();
            let source = match refused {
                Err(CheckpointError::Invalid { source }) => source,
                other => panic!("{raw:?}: {:?}", other.err()),
            };
            assert!(matches!(source, InvalidJob::Json { .. }), "{source}");
        }
        let too_large = vec![0; MAX_PAYLOAD_BYTES];
        checkpoint.set_raw_json("1").set_raw_bytes(&too_large);
        for refused in [checkpoint.borrowed().err(), checkpoint.owned().err()] {
            assert!(matches!(
                refused,
                Some(CheckpointError::Invalid {
                    source: InvalidJob::PayloadTooLarge { .. }
                })
            ));
        }
        checkpoint.set_raw_bytes(&too_large[1..]);
        assert!(checkpoint.borrowed().is_ok());
    }
}
