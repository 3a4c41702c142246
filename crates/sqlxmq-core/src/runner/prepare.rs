//! The preparation: what a runner needs before it does anything. Asks for the schema and the keys, connects, and says what is missing.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgListener;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::complete::Completer;
use super::error::RunError;
use super::health::Vitals;
use super::lease;
use super::options::JobRunnerOptions;
use super::place::Place;
use super::poll::Poller;
use super::prefetch::Prefetched;
use super::session::{Role, STATEMENT_DEADLINE, Session, within};
use super::shared::{Report, Shared};
use super::slots::Slots;
use crate::store::runner as store;

/// A runner that is connected and does nothing yet.
pub(super) struct Prepared {
    pub(super) shared: Arc<Shared>,
    pub(super) poller: Poller,
    pub(super) completer: Completer,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
    /// Ends the keeper's thread with the supervisor, however that ends.
    pub(super) keeper: tokio_util::sync::DropGuard,
    pub(super) listener: Option<PgListener>,
}

pub(super) async fn prepare(options: &JobRunnerOptions, jobs: Place) -> Result<Prepared, RunError> {
    let target = options.target()?;
    let mut session = Session::new(target.clone(), Role::Claim);
    let mut connection = session
        .take()
        .await
        .map_err(|source| connect_error(Role::Claim, source))?;
    let names = options.names();
    let channel_names = options.settings().channel_names.clone();
    let asked = within(STATEMENT_DEADLINE, async {
        if !store::schema_is_there(&mut connection).await? {
            return Ok(None);
        }
        // A role without a runner's rights is told now, whatever it runs: every runner has the right to ask for keys.
        store::keys(&mut connection, &[]).await?;
        let mut keys = Vec::new();
        for texts in [names, channel_names] {
            keys.push(match texts {
                Some(texts) => Some(store::keys(&mut connection, &texts).await?),
                None => None,
            });
        }
        Ok(Some(keys))
    })
    .await;
    let answer = session
        .settle(connection, asked)
        .map_err(|source| RunError::Store {
            doing: "look for the schema",
            source,
        })?;
    let Some(mut keys) = answer else {
        return Err(RunError::SchemaMissing);
    };
    let (channel_name_keys, name_keys) = (keys.pop().flatten(), keys.pop().flatten());

    let (orders, inbox) = mpsc::unbounded_channel();
    let (lease_requests, requests) = mpsc::unbounded_channel();
    let (report, reports) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        pool: options.pool().clone(),
        settings: options.settings().clone(),
        target,
        work: options.work(),
        error_handler: options.error_handler(),
        name_keys,
        channel_name_keys,
        slots: Slots::new(),
        prefetched: Prefetched::default(),
        jobs,
        vitals: Vitals::default(),
        own_leases: AtomicBool::new(false),
        hints: Notify::new(),
        schedule_changed: Notify::new(),
        tables_are_large: Notify::new(),
        stopping: CancellationToken::new(),
        no_more_outcomes: CancellationToken::new(),
        incarnation: Mutex::new(None),
        timeline: Mutex::new(None),
        orders,
        lease_requests,
        reports: report,
    });
    let mut completer = Completer::new(Arc::clone(&shared), inbox);
    completer
        .connect()
        .await
        .map_err(|source| connect_error(Role::Complete, source))?;
    let stop_keeper = CancellationToken::new();
    let keeper = stop_keeper.clone().drop_guard();
    let connected = lease::start(Arc::clone(&shared), requests, stop_keeper)
        .map_err(|source| RunError::Thread { source })?;
    connected
        .await
        .unwrap_or(Err(sqlx::Error::WorkerCrashed))
        .map_err(|source| connect_error(Role::Renew, source))?;
    let poller = Poller::new(Arc::clone(&shared), session);
    Ok(Prepared {
        shared,
        poller,
        completer,
        reports,
        keeper,
        listener: None,
    })
}

pub(super) fn connect_error(role: Role, source: sqlx::Error) -> RunError {
    RunError::Connect {
        role: role.as_str(),
        source,
    }
}
