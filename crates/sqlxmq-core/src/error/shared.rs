//! One error of sqlx that several callers are told of: its type can't be cloned.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use sqlx::error::{DatabaseError, ErrorKind};

/// An error that can be told more than once.
#[derive(Debug, Clone)]
pub(crate) struct SharedError(Arc<sqlx::Error>);

impl SharedError {
    pub(crate) fn new(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }

    /// The error as sqlx tells it: of the same kind, with the same text.
    pub(crate) fn told(&self) -> sqlx::Error {
        match &*self.0 {
            sqlx::Error::Database(_) => sqlx::Error::database(SharedAnswer(Arc::clone(&self.0))),
            sqlx::Error::Io(error) => sqlx::Error::Io(io::Error::new(error.kind(), error.to_string())),
            sqlx::Error::Tls(error) => sqlx::Error::Tls(error.to_string().into()),
            sqlx::Error::Configuration(error) => sqlx::Error::Configuration(error.to_string().into()),
            sqlx::Error::Protocol(text) => sqlx::Error::Protocol(text.clone()),
            sqlx::Error::PoolTimedOut => sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed => sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed => sqlx::Error::WorkerCrashed,
            // What else there is tells of a bug, ours or that of sqlx.
            other => sqlx::Error::Protocol(other.to_string()),
        }
    }
}

/// What PostgreSQL has answered.
#[derive(Debug)]
struct SharedAnswer(Arc<sqlx::Error>);

impl SharedAnswer {
    fn answer(&self) -> &dyn DatabaseError {
        match &*self.0 {
            sqlx::Error::Database(answer) => &**answer,
            _ => unreachable!("BUG: made of answers only"),
        }
    }
}

impl fmt::Display for SharedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.answer(), f)
    }
}

impl Error for SharedAnswer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.answer().source()
    }
}

impl DatabaseError for SharedAnswer {
    fn message(&self) -> &str {
        self.answer().message()
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.answer().code()
    }

    /// Itself, and not that of PostgreSQL, which can't be had by value: sqlx looks at this one and then takes that one for it.
    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn constraint(&self) -> Option<&str> {
        self.answer().constraint()
    }

    fn table(&self) -> Option<&str> {
        self.answer().table()
    }

    fn kind(&self) -> ErrorKind {
        self.answer().kind()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_error_is_told_to_each_as_it_was() {
        let errors = [
            sqlx::Error::PoolClosed,
            sqlx::Error::PoolTimedOut,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer")),
            sqlx::Error::Tls("no certificate".into()),
            sqlx::Error::Protocol("out of step".to_owned()),
        ];
        for error in errors {
            let (kind, text) = (std::mem::discriminant(&error), error.to_string());
            let shared = SharedError::new(error);
            for _ in 0..2 {
                let told = shared.told();
                assert_eq!(
                    (std::mem::discriminant(&told), told.to_string()),
                    (kind, text.clone())
                );
            }
        }
        let lost = SharedError::new(sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()));
        assert!(crate::error::classify::is_transient(&lost.told()));
    }

    #[test]
    fn a_shared_answer_is_of_no_type_that_it_can_not_be_had_as() {
        let answer = sqlx::Error::database(SharedAnswer(Arc::new(sqlx::Error::RowNotFound)));
        let sqlx::Error::Database(answer) = SharedError::new(answer).told() else {
            panic!("an answer")
        };
        assert!(answer.try_downcast::<sqlx::postgres::PgDatabaseError>().is_err());
    }
}
