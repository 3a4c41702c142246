//! Why a server could not be started, in words for a person at a terminal.

use std::{fmt, io, path::PathBuf};

/// No PostgreSQL server binaries are on this machine.
///
/// Its `Debug` is its `Display`: a `main` that returns `Result<(), Box<dyn Error>>` prints `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotFound;

impl fmt::Display for NotFound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(concat!(
            "no PostgreSQL server binaries found (looked at $PG_BIN, $PATH, `pg_config --bindir` ",
            "and the usual install folders)\n",
            "Either set DATABASE_URL to a running server, or install one:\n",
            "  Debian, Ubuntu   sudo apt-get install postgresql\n",
            "  Fedora           sudo dnf install postgresql-server\n",
            "  macOS            brew install postgresql@17\n",
            "  Docker           docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=pw postgres:17\n",
            "                   export DATABASE_URL=postgres://postgres:pw@localhost/postgres",
        ))
    }
}

impl fmt::Debug for NotFound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for NotFound {}

/// Why a server could not be started. Its `Debug` is its `Display`, as with [`NotFound`].
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to start.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// `PG_BIN` or [`bin_dir`](crate::DevPgBuilder::bin_dir) names a folder without a server.
    #[error("no `initdb` and `postgres` in {}, where PG_BIN or `bin_dir` says they are", .bin_dir.display())]
    NotABinDir {
        /// The folder that was named.
        bin_dir: PathBuf,
    },
    /// We are root, PostgreSQL refuses to run as root, and the user it would run as can't read the binaries.
    #[error("user `{user}` may not run the programs in {}: copy them to a folder it may read", .bin_dir.display())]
    NotReadable {
        /// The folder of the binaries.
        bin_dir: PathBuf,
        /// Whom the server would have run as.
        user: String,
    },
    /// We are root, and there is nobody else to run the server as.
    #[error("PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody`")]
    NoUser,
    /// A program could not be run, or a file not be made.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server was asked for something, to make or to promote a standby, and refused.
    #[error("failed to {what}: {source}")]
    Sql {
        /// What was being done.
        what: &'static str,
        /// What the server said.
        source: sqlx::Error,
    },
    /// The standby did not begin to follow.
    #[error("the standby does not follow its primary:\n{log}")]
    NotFollowing {
        /// What the standby wrote.
        log: String,
    },
    /// `initdb` or `postgres` ran and gave up.
    #[error("{program} failed:\n{log}")]
    Program {
        /// Which of the two.
        program: &'static str,
        /// What it wrote.
        log: String,
    },
}

impl fmt::Debug for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Turns an `io::Error` into a [`StartError::Io`] that says what was being done.
pub(crate) fn failed_to<T>(what: impl Into<String>, result: io::Result<T>) -> Result<T, StartError> {
    result.map_err(|source| StartError::Io {
        what: what.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_found_prints_the_same_readable_text_from_debug_and_display() {
        let error = StartError::from(NotFound);
        assert_eq!(format!("{error:?}"), format!("{error}"));
        for system in ["Debian", "Fedora", "macOS", "Docker"] {
            assert!(format!("{error:?}").contains(system), "no line for {system}");
        }
    }
}
