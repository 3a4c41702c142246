//! One vacuum, however long it takes, that gives way to whoever waits for its table, as autovacuum's do.
//!
//! After ten minutes under a pin there is more than a gigabyte of dead rows: to stop half-way is to have done nothing, and DDL on the table
//! (a migration) waits for a vacuum, and everybody else behind it.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::sql::compact::HotTable;
use crate::store::compact::{self as store, is_timed_out};

/// Most are done by then, and need nobody to look after them.
const UNWATCHED: Duration = Duration::from_secs(2);

/// Whoever waits has everybody else behind him.
const LOOK_FOR_WAITERS_EVERY: Duration = Duration::from_millis(500);

/// Longer than the server's own limit: the connection is half open.
const DEADLINE: Duration = Duration::from_secs(65);

/// Vacuums a table, unless another vacuum is in it, somebody waits for it, or it takes a minute: the statistics tell. `watch`: how to open a
/// second connection, if it takes a while.
pub(super) async fn vacuum(
    connection: &mut PgConnection,
    table: &HotTable,
    watch: &PgConnectOptions,
) -> Result<(), sqlx::Error> {
    let process = store::process(connection).await?;
    let answer = {
        let vacuuming = async {
            let answer = tokio::time::timeout(DEADLINE, store::vacuum(connection, table)).await;
            answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        };
        tokio::pin!(vacuuming);
        match tokio::time::timeout(UNWATCHED, &mut vacuuming).await {
            Ok(answer) => answer,
            Err(_) => tokio::select! {
                // Not dropped by the other arm, which goes on waiting for it.
                answer = &mut vacuuming => answer,
                // Dropped when the vacuum is done: it only looks, over a connection of its own.
                watched = give_way(watch, table, process) => {
                    if let Err(error) = watched {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            table = table.name,
                            "a vacuum is not looked after, whoever wants to change the table may wait for a minute"
                        );
                    }
                    vacuuming.await
                }
            },
        }
    };
    match answer {
        Err(error) if is_timed_out(&error) => Ok(()),
        answer => answer,
    }
}

/// Ends the vacuum of that process when somebody waits for the table.
async fn give_way(watch: &PgConnectOptions, table: &HotTable, process: i32) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(watch).await?;
    while !store::give_way(&mut connection, table, process).await? {
        tokio::time::sleep(LOOK_FOR_WAITERS_EVERY).await;
    }
    // What it was opened for is done.
    let _ = connection.close().await;
    Ok(())
}
