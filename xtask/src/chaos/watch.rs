//! Looks at the running rows all the time: whose they are, and whether their leases are over.

use super::database::Address;
use super::nemesis::now;
use anyhow::Result;
use sqlx::{PgConnection, types::Uuid};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Also how exact the times are that are measured here.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The runner, its process (no longer known when its row is gone), and how long its lease has been over.
const RUNNING: &str = "
select r.runner, max(u.description), max(extract(epoch from clock_timestamp() - u.expires_at)::float8)
from mq_running as r left join mq_runners as u on u.runner = r.runner
group by r.runner";

/// An incarnation of a runner that had running rows.
#[derive(Debug, Clone, Copy)]
pub struct Incarnation {
    /// Its process.
    pub process: u32,
    /// When it first had some, since 1970.
    pub first: Duration,
    /// When it last had some.
    pub last: Duration,
    /// The longest that rows were seen of a lease that was over.
    pub overdue: Duration,
    /// When that was.
    pub overdue_at: Duration,
}

/// What has been seen so far.
pub type Seen = Arc<Mutex<HashMap<Uuid, Incarnation>>>;

/// Looks until it is dropped.
pub async fn watch(address: Address, seen: Seen) {
    loop {
        // Only ever left with an error: the server is gone for a moment.
        let looked: Result<()> = async {
            let mut connection = address.connect().await?;
            loop {
                look(&mut connection, &seen).await?;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        .await;
        drop(looked);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(connection: &mut PgConnection, seen: &Seen) -> Result<()> {
    let looking = sqlx::query_as(RUNNING).fetch_all(connection);
    let rows: Vec<(Uuid, Option<String>, Option<f64>)> =
        tokio::time::timeout(Duration::from_secs(5), looking).await??;
    let at = now();
    let mut seen = seen.lock().expect("nobody panics with it");
    for (runner, description, overdue) in rows {
        let process = description.and_then(|text| text.rsplit(' ').next()?.parse().ok());
        let incarnation = seen.entry(runner).or_insert(Incarnation {
            process: process.unwrap_or_default(),
            first: at,
            last: at,
            overdue: Duration::ZERO,
            overdue_at: at,
        });
        incarnation.last = at;
        let overdue = Duration::from_secs_f64(overdue.unwrap_or_default().max(0.0));
        if overdue > incarnation.overdue {
            (incarnation.overdue, incarnation.overdue_at) = (overdue, at);
        }
    }
    Ok(())
}
