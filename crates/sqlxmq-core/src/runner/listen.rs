//! The listener: turns notifications into hints. Never decides anything: a lost hint costs one poll interval.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::session::{Role, STATEMENT_DEADLINE, is_timeout, within};
use super::shared::Shared;
use crate::backoff::{Backoff, random};
use crate::sql::runner as sql;
use crate::store::timeout::replace_statement_timeout;

/// A silent connection is asked this often whether it is still there. With the statement's deadline, a half-open one is
/// replaced within 11 seconds.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// Opens the listener's connection.
pub(crate) async fn connect(shared: &Shared) -> Result<PgListener, sqlx::Error> {
    within(STATEMENT_DEADLINE, async {
        // A pool of its own, of one: sqlx's listener can't be made from a connection.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(STATEMENT_DEADLINE)
            .test_before_acquire(false)
            .connect_with(shared.target.options_for(Role::Listen))
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        // A lost connection is for us to replace: the poller must look for what was missed.
        listener.eager_reconnect(false);
        replace_statement_timeout(&mut listener, sql::STATEMENT_TIMEOUT).await?;
        let channel: String = sqlx::query_scalar(sql::WAKE_CHANNEL)
            .fetch_one(&mut listener)
            .await?;
        listener.listen(&channel).await?;
        Ok(listener)
    })
    .await
}

/// Listens until the runner stops.
pub(crate) async fn run(shared: &Arc<Shared>, mut connected: Option<PgListener>, buckets: &HashSet<i32>) {
    let mut backoff = Backoff::default();
    while !shared.stopping.is_cancelled() {
        let outcome = match connected.take() {
            Some(listener) => listen(shared, listener, buckets).await,
            None => match connect(shared).await {
                Ok(listener) => {
                    backoff.succeeded();
                    connected = Some(listener);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        shared.vitals.listening.store(false, Ordering::Release);
        let Err(error) = outcome else { return };
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "runner does not listen, it polls until it can again"
        );
        tokio::select! {
            // A timer loses nothing.
            () = tokio::time::sleep(backoff.failed(random())) => {}
            // A token loses nothing.
            () = shared.stopping.cancelled() => return,
        }
    }
}

/// `Ok`: the runner stops.
async fn listen(
    shared: &Arc<Shared>,
    mut listener: PgListener,
    buckets: &HashSet<i32>,
) -> Result<(), sqlx::Error> {
    shared.vitals.listening.store(true, Ordering::Release);
    // What was spawned before this connection listened was not heard.
    shared.hints.notify_one();
    loop {
        tokio::select! {
            // Cancel safe: sqlx keeps a message that was read in part in its buffer.
            message = listener.try_recv() => match message? {
                Some(notification) => {
                    // A payload of a later version wakes everybody.
                    if notification.payload().parse().map_or(true, |bucket: i32| buckets.contains(&bucket)) {
                        shared.hints.notify_one();
                    }
                }
                None => return Err(sqlx::Error::Protocol("the server closed the listener's connection".to_owned())),
            },
            // A timer loses nothing.
            () = tokio::time::sleep(HEARTBEAT_EVERY) => {
                let sent = Instant::now();
                let answer = within(STATEMENT_DEADLINE, sqlx::query(sql::HEARTBEAT).execute(&mut listener)).await;
                if answer.as_ref().is_err_and(is_timeout) {
                    shared.target.suspicion.raise(sent, Instant::now());
                }
                answer?;
            }
            // A token loses nothing.
            () = shared.stopping.cancelled() => return Ok(()),
        }
    }
}
