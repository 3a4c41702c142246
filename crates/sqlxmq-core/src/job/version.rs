//! Which version of its type a payload is of: told by the job's name, or by the checkpoint that replaced the payload.
//!
//! Why there is docs/design/payloads.md.

use super::CurrentJob;
use crate::error::PayloadError;

/// What a checkpoint's JSON begins with if it is of another version than the job's name says: a program that is newer than the
/// one that spawned the job has written it.
const MARK: &str = "{\"mq_payload_version\":";
const MARKED: &str = ",\"payload\":";

/// The versions of a job's payload that the program can read.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// The job's name: what jobs of version 1 are stored under. Later ones have `@v2` and so on behind it.
    pub name: &'static str,
    /// The version of the function's type.
    pub known: u32,
    /// The oldest version that is upgraded to it.
    pub oldest: u32,
}

/// Finds out the version of the payload and has it decoded.
#[doc(hidden)]
pub fn versioned<T>(
    job: &mut CurrentJob,
    version: Version,
    decode: impl FnOnce(u32, &CurrentJob) -> Result<T, PayloadError>,
) -> Result<T, PayloadError> {
    let named = version_of_name(job.name(), version.name);
    let of_payload = match job.raw_json().and_then(unmarked) {
        Some((marked, text)) => {
            let text = text.to_owned();
            job.set_payload_json(text);
            marked
        }
        None => named,
    };
    if named != version.known {
        job.mark_checkpoints(version.known);
    }
    if of_payload > version.known {
        return Err(PayloadError::TooNew {
            version: of_payload,
            known: version.known,
        });
    }
    if of_payload < version.oldest {
        return Err(PayloadError::TooOld {
            version: of_payload,
            oldest: version.oldest,
        });
    }
    decode(of_payload, job)
}

fn version_of_name(stored: &str, name: &str) -> u32 {
    let suffix = stored.strip_prefix(name).and_then(|rest| rest.strip_prefix("@v"));
    suffix.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// Returns the JSON of a checkpoint with its version.
pub(super) fn marked(version: u32, json: &str) -> String {
    format!("{MARK}{version}{MARKED}{json}}}")
}

/// Takes apart what [`marked`] has put together; anything else is a payload as it is.
fn unmarked(text: &str) -> Option<(u32, &str)> {
    let (version, rest) = text.strip_prefix(MARK)?.split_once(MARKED)?;
    Some((version.parse().ok()?, rest.strip_suffix('}')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_version() {
        assert_eq!(version_of_name("mail", "mail"), 1);
        assert_eq!(version_of_name("mail@v2", "mail"), 2);
        assert_eq!(version_of_name("mail@v12", "mail"), 12);
        assert_eq!(version_of_name("something else", "mail"), 1);
    }

    #[test]
    fn a_mark_comes_off_as_it_was_put_on() {
        for json in ["{\"a\":1}", " [1, 2]\n", "\",\\\"payload\\\":}\""] {
            let text = marked(3, json);
            serde_json::from_str::<serde::de::IgnoredAny>(&text).expect("it is JSON");
            assert_eq!(unmarked(&text), Some((3, json)));
        }
        for json in [
            "{}",
            "{\"mq_payload_version\":3}",
            "{\"mq_payload_version\":x,\"payload\":1}",
        ] {
            assert_eq!(unmarked(json), None);
        }
    }
}
