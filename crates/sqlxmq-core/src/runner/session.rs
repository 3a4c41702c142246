//! A connection of the runner's own, with a deadline for everything that is sent over it.
//!
//! A connection is taken out for each statement and put back only after a good answer. So whatever stops a statement half-way
//! (a deadline, a dropped future, a panic) also closes its connection, and nobody reads somebody else's answer.

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::error::is_disconnect;
use super::suspicion::Suspicion;
use crate::sql::runner as sql;
use crate::store::runner as store;
use crate::store::timeout::replace_statement_timeout;

/// Longer than the server's own `statement_timeout`, and short enough that a half-open connection is noticed, replaced and
/// used again within 15 seconds.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(6);

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// More than a connection of the runner has statements, whatever the pool's options say: with no cache, sqlx 0.9 leaves a named
/// statement on the server for each call, which for a connection that lives for weeks is a leak.
const STATEMENT_CACHE: usize = 100;

/// What a connection is for. Names it in `pg_stat_activity` and in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Claim,
    Fetch,
    Complete,
    Renew,
    Maintain,
    Compact,
    Listen,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Claim => "claim",
            Role::Fetch => "fetch",
            Role::Complete => "complete",
            Role::Renew => "renew",
            Role::Maintain => "maintain",
            Role::Compact => "compact",
            Role::Listen => "listen",
        }
    }
}

/// Where and how the runner connects.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) options: PgConnectOptions,
    /// Behind a transaction pooler a setting would stay with a server connection that others use next.
    pub(crate) keeps_sessions: bool,
    /// Shared by the connections of one runner.
    pub(crate) suspicion: Suspicion,
}

impl Target {
    pub(crate) fn options_for(&self, role: Role) -> PgConnectOptions {
        self.options
            .clone()
            .application_name(&format!("sqlxmq {}", role.as_str()))
            .statement_cache_capacity(STATEMENT_CACHE)
    }
}

/// A connection that is opened when it is needed.
#[derive(Debug)]
pub(crate) struct Session {
    target: Target,
    role: Role,
    idle: Option<PgConnection>,
    /// Counts connections, so that state kept on the server side is known to be gone.
    generation: u64,
    /// When it last gave a good answer.
    answered: Instant,
    /// When it was last taken.
    taken: Instant,
}

impl Session {
    pub(crate) fn new(target: Target, role: Role) -> Self {
        Self {
            target,
            role,
            idle: None,
            generation: 0,
            answered: Instant::now(),
            taken: Instant::now(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Which connection this is, counted from 1. 0: none yet.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.idle.is_some()
    }

    /// Takes the connection, opening one if there is none.
    ///
    /// Whoever does not [`put_back`](Self::put_back) closes it.
    pub(crate) async fn take(&mut self) -> Result<PgConnection, sqlx::Error> {
        self.taken = Instant::now();
        if let Some(connection) = self.idle.take() {
            if !self.target.suspicion.is_about(self.answered) {
                return Ok(connection);
            }
            // A goodbye would only wait for an answer as well.
            drop(connection);
        }
        let connection = within(CONNECT_DEADLINE, open(&self.target, self.role)).await?;
        self.generation += 1;
        tracing::debug!(
            role = self.role.as_str(),
            generation = self.generation,
            "runner connected"
        );
        self.taken = Instant::now();
        Ok(connection)
    }

    /// Whether the connection that is there will be taken, and not replaced.
    pub(crate) fn is_trusted(&self) -> bool {
        self.is_connected() && !self.target.suspicion.is_about(self.answered)
    }

    pub(crate) fn put_back(&mut self, connection: PgConnection) {
        self.answered = Instant::now();
        self.idle = Some(connection);
    }

    /// Notes why a connection was not put back: silence is about the other connections too.
    pub(crate) fn lost(&self, error: &sqlx::Error) {
        if is_timeout(error) {
            self.target.suspicion.raise(self.taken, Instant::now());
        }
    }

    /// Puts the connection back if what it answered leaves it usable.
    pub(crate) fn settle<T>(
        &mut self,
        connection: PgConnection,
        answer: Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        match &answer {
            Ok(_) => self.put_back(connection),
            // After an ordinary error of a statement the connection is as good as before.
            Err(error @ sqlx::Error::Database(_)) if !is_disconnect(error) && !plan_is_stale(error) => {
                self.put_back(connection);
            }
            Err(error) => {
                self.lost(error);
                drop(connection);
            }
        }
        answer
    }

    /// Says goodbye, so that the server does not log a lost client.
    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.idle.take() {
            let _ = within(Duration::from_secs(1), connection.close()).await;
        }
    }
}

/// After a migration, prepared statements of old sessions can fail for ever.
fn plan_is_stale(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(answer) if answer.code().as_deref() == Some("0A000"))
}

async fn open(target: &Target, role: Role) -> Result<PgConnection, sqlx::Error> {
    let mut connection = target.options_for(role).connect().await?;
    if target.keeps_sessions {
        replace_statement_timeout(&mut connection, sql::STATEMENT_TIMEOUT).await?;
        sqlx::raw_sql(sql::SESSION).execute(&mut connection).await?;
        if matches!(role, Role::Claim | Role::Fetch) {
            sqlx::raw_sql(sql::CLAIM_SESSION).execute(&mut connection).await?;
        }
    }
    // After a failover the old address may lead to a standby, where every statement would fail for good.
    if store::is_standby(&mut connection).await? {
        return Err(sqlx::Error::Protocol(
            "the server is a standby, which can't run jobs".to_owned(),
        ));
    }
    Ok(connection)
}

/// The answer, or a timeout in the shape of an I/O error. Whoever owns the connection drops it then.
pub(crate) async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(deadline, answer)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}

/// Whether this is what [`within`] says.
pub(crate) fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut)
}

pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the database did not answer in time",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_without_a_statement_cache_does_not_take_it_from_the_runner() {
        let target = Target {
            options: PgConnectOptions::new_without_pgpass().statement_cache_capacity(0),
            keeps_sessions: true,
            suspicion: Suspicion::default(),
        };
        let options = format!("{:?}", target.options_for(Role::Claim));
        assert!(options.contains("statement_cache_capacity: 100"), "{options}");
    }
}
