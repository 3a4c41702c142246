//! What `{:?}` shows of an error that a `main` may return.
//!
//! A `main` that returns an error prints it with `{:?}`, and so does `unwrap`: the first thing that a newcomer sees of a mistake.
//! The text with its causes says what to do about it, the fields do not.

use std::error::Error;
use std::fmt;

/// Writes the error and its causes in one line, with PostgreSQL's code behind what PostgreSQL said.
pub(crate) fn write_chain(error: &(dyn Error + 'static), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Ours are not longer, and a cause that leads back to itself ends.
    for _ in 0..16 {
        let Some(inner) = cause else { break };
        let inner_text = inner.to_string();
        // Many errors repeat their source in their own text.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        if let Some(code) = inner.downcast_ref::<sqlx::Error>().and_then(code) {
            text.push_str(&format!(" (SQLSTATE {code})"));
            break;
        }
        cause = inner.source();
    }
    f.write_str(&text)
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Implements `Debug` by [`write_chain`].
macro_rules! debug_is_readable {
    ($error:ty) => {
        impl std::fmt::Debug for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::error::readable::write_chain(self, f)
            }
        }
    };
}

pub(crate) use debug_is_readable;

#[cfg(test)]
mod tests {
    use crate::error::{RegistryError, SpawnError};
    use crate::runner::RunError;

    #[test]
    fn what_main_prints_says_what_to_do() {
        let error = RunError::from(RegistryError::DuplicateJob { name: "mail" });
        assert_eq!(
            format!("{error:?}"),
            "the job registry can't be run: two jobs are named `mail`: give one of them another name, `#[job(\"..\")]`"
        );
        let error = SpawnError::store("mail", 1, sqlx::Error::PoolClosed);
        assert_eq!(
            format!("{error:?}"),
            format!("failed to store job `mail`: {}", sqlx::Error::PoolClosed)
        );
    }
}
