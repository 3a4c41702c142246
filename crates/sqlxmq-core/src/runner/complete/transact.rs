//! What the completer sends, and how it ended: in a transaction that is known, or as a statement by itself.
//!
//! A transaction says which one it is before its commit is sent, so that what became of it can be asked if the answer is lost. That
//! takes three round trips, of which a statement that commits by itself takes one.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{Connection, PgConnection};

use super::wire::Wire;
use crate::runner::error::is_disconnect;
use crate::runner::session::within;

/// How a transaction of ours ended. `K`: what is known of it if that is not.
pub(super) enum Sent<T, K = T> {
    Committed(T),
    NotCommitted(sqlx::Error),
    /// The commit was sent and not answered.
    Unknown(K, sqlx::Error),
}

impl<T, K> Sent<T, K> {
    pub(super) fn is_committed(&self) -> bool {
        matches!(self, Sent::Committed(_))
    }

    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Sent<U, K> {
        match self {
            Sent::Committed(answer) => Sent::Committed(map(answer)),
            Sent::NotCommitted(error) => Sent::NotCommitted(error),
            Sent::Unknown(known, error) => Sent::Unknown(known, error),
        }
    }

    pub(super) fn map_known<L>(self, map: impl FnOnce(K) -> L) -> Sent<T, L> {
        match self {
            Sent::Committed(answer) => Sent::Committed(answer),
            Sent::NotCommitted(error) => Sent::NotCommitted(error),
            Sent::Unknown(known, error) => Sent::Unknown(map(known), error),
        }
    }
}

impl Wire {
    /// One statement that commits by itself: for what can be repeated whatever became of it, and has no one wait to know.
    pub(super) async fn send_alone<T, F>(&mut self, deadline: Duration, work: F) -> Sent<T, ()>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    {
        let mut connection = match self.take().await {
            Ok(connection) => connection,
            Err(error) => return Sent::NotCommitted(error),
        };
        let answer = within(deadline, work(&mut connection)).await;
        match self.session.settle(connection, answer) {
            Ok(answer) => Sent::Committed(answer),
            Err(error) if is_disconnect(&error) => Sent::Unknown((), error),
            Err(error) => Sent::NotCommitted(error),
        }
    }

    /// One transaction of ours. A commit that is not answered is reported as such.
    pub(super) async fn transact<T, F>(&mut self, deadline: Duration, work: F) -> Sent<T>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    {
        let mut connection = match self.take().await {
            Ok(connection) => connection,
            Err(error) => return Sent::NotCommitted(error),
        };
        // In a block of its own, because the transaction borrows the connection.
        let (answer, error) = {
            let begun = within(deadline, async {
                let mut transaction = connection.begin().await?;
                let answer = work(&mut transaction).await?;
                Ok((transaction, answer))
            })
            .await;
            match begun {
                Err(error) => (None, Some(error)),
                Ok((transaction, answer)) => {
                    (Some(answer), within(deadline, transaction.commit()).await.err())
                }
            }
        };
        match (answer, error) {
            (Some(answer), None) => {
                self.session.put_back(connection);
                Sent::Committed(answer)
            }
            // The server refused, and its session is fine: rolled back.
            (_, Some(error @ sqlx::Error::Database(_))) if !is_disconnect(&error) => {
                self.session.put_back(connection);
                Sent::NotCommitted(error)
            }
            (answer, Some(error)) => {
                self.session.lost(&error);
                match answer {
                    Some(answer) => Sent::Unknown(answer, error),
                    None => Sent::NotCommitted(error),
                }
            }
            (None, None) => unreachable!("BUG: neither an answer nor an error"),
        }
    }
}
