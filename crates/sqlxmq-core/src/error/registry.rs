//! Why a registry cannot be run, or does not know a job.

/// Why a runner cannot start with a registry. Trying again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry has no jobs, so the runner would never claim one.
    #[error(
        "the registry has no jobs (a crate that is never named in code is not linked: `use my_jobs as _;`)"
    )]
    Empty,
    /// Two jobs have one name.
    #[error("two jobs are named `{name}`: give one of them another name, `#[job(\"..\")]`")]
    DuplicateJob {
        /// The name.
        name: &'static str,
    },
    /// A job's function has an argument that was not provided.
    #[error(
        "job `{job}` needs a context of type `{type_name}`, which `set_context` was not given{}", Hint(.type_name)
    )]
    MissingContext {
        /// The name of the job.
        job: &'static str,
        /// The type of the argument.
        type_name: &'static str,
    },
}

/// What else it may be if the type is a reference.
struct Hint(&'static str);

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.strip_prefix('&') {
            None => Ok(()),
            Some("str") => f.write_str(" (that is a literal text: take `String` if a `String` was given)"),
            Some(owned) => write!(
                f,
                " (a job can only borrow what is `'static`: take `{owned}` by value, each job gets a clone, or share it in an `Arc`)"
            ),
        }
    }
}

impl RegistryError {
    /// Returns `false`: the program has to be changed.
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// A job was received whose name is not in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown job")]
pub struct UnknownJobError;
