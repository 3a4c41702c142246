//! What an error handler gets to see besides the errors of the jobs themselves, and how errors are written down.

use uuid::Uuid;

/// A job panicked: what its error handler sees, and what is recorded for the attempt.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[error("the job panicked: {message}")]
pub struct JobPanicked {
    /// The panic's message.
    pub message: String,
}

/// A job was dropped without being completed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the job was dropped without being completed: call its `complete`, or take it as `&mut CurrentJob`")]
pub struct JobDropped;

/// A job asked for another attempt: it returned [`Outcome::Retry`](crate::Outcome::Retry).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[error("the job asked to be tried again after {after:?}")]
pub struct JobRetries {
    /// The time until the next attempt.
    pub after: std::time::Duration,
}

/// A job's function took longer than its `timeout` allows.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[error("the job did not end within its timeout of {after:?}")]
pub struct JobTimedOut {
    /// The timeout.
    pub after: std::time::Duration,
}

/// A job lost its lease while it ran: another attempt may be running already.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[error("job {id} lost its lease in attempt {attempt}")]
pub struct JobLeaseLost {
    /// The job.
    pub id: Uuid,
    /// Which attempt, counted from 1.
    pub attempt: u32,
}

/// The payload of a job did not arrive, several times in a row and while other statements were answered: the attempt has failed.
///
/// The error handler gets an empty name with it, since the name would have come with the payload.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[error("the payload of job {id} did not arrive, several times in a row: {reason}")]
pub struct JobUndelivered {
    /// The job.
    pub id: Uuid,
    /// What happened the last time.
    pub reason: String,
}

/// The error with its causes, as recorded for an attempt: at most 8 KiB, without NUL (which PostgreSQL can't store).
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // A source that leads back to itself must not keep us here, neither by growing nor by repeating itself.
    for _ in 0..MAX_CAUSES {
        let Some(inner) = cause else { break };
        let inner_text = inner.to_string();
        // Many errors repeat their source in their own text.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        if text.len() > MAX_ERROR_BYTES {
            break;
        }
        cause = inner.source();
    }
    bounded(text)
}

/// More than any chain of errors that somebody made on purpose.
const MAX_CAUSES: usize = 64;

/// What the schema accepts as the text of an error.
const MAX_ERROR_BYTES: usize = 8192;

pub(crate) fn bounded(mut text: String) -> String {
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    if text.len() > MAX_ERROR_BYTES {
        const MORE: &str = " […]";
        let mut end = MAX_ERROR_BYTES - MORE.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not charge the card")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the bank said no")]
    struct Inner;

    #[test]
    fn an_error_is_described_with_its_causes() {
        assert_eq!(
            describe(&Outer(Inner)),
            "could not charge the card: the bank said no"
        );
    }

    #[test]
    fn an_error_that_is_its_own_cause_is_described_too() {
        #[derive(Debug)]
        struct Again(&'static str);
        impl std::fmt::Display for Again {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Again {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(self)
            }
        }
        for text in ["", "again"] {
            assert_eq!(describe(&Again(text)), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_recorded(part in any::<String>(), times in 1..3_000_usize) {
            let text = part.repeat(times);
            let recorded = bounded(text.clone());
            prop_assert!(recorded.len() <= MAX_ERROR_BYTES && !recorded.contains('\0'));
            let unchanged = text.replace('\0', "\u{fffd}");
            match unchanged.len() <= MAX_ERROR_BYTES {
                true => prop_assert_eq!(recorded, unchanged),
                false => prop_assert!(unchanged.starts_with(recorded.strip_suffix(" […]").unwrap_or("no mark"))),
            }
        }
    }

    #[test]
    fn a_long_error_is_cut_at_a_character() {
        let text = bounded("ä".repeat(10_000));
        assert!(text.len() <= MAX_ERROR_BYTES && text.ends_with(" […]"));
    }

    #[test]
    fn nul_characters_are_replaced() {
        assert_eq!(bounded("a\0b".to_owned()), "a\u{fffd}b");
    }
}
