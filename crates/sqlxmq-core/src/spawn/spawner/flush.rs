//! One flush: many jobs in one statement, and what becomes of each.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::kept::Waiting;
use crate::error::classify::concerns_everybody;
use crate::error::shared::SharedError;
use crate::store::producer::{self, SpawnColumns};

/// How long the server may take for a flush. All others wait for it: they must not wait for as long as the kernel takes to notice
/// that a connection is half open.
const DEADLINE: Duration = Duration::from_secs(15);

/// Stores the jobs, as many as can be, and tells whoever waits for each.
///
/// What PostgreSQL has refused was not stored, so it is sent again without the job that it was refused for. What it has not answered
/// is never sent again: a job that was stored, and has run and ended by then, would run twice.
pub(super) async fn flush(pool: &PgPool, jobs: Vec<Waiting>) {
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(error) => return refuse_all([jobs], error),
    };
    // The last one is next, so that the jobs are stored in the order in which they came.
    let mut groups = vec![jobs];
    while let Some(mut group) = groups.pop() {
        let Ok(answer) = tokio::time::timeout(deadline(&group), store(&mut connection, &group)).await else {
            // A pool would wait for an answer to its goodbye.
            drop(connection.detach());
            groups.push(group);
            return refuse_all(groups, io::Error::from(io::ErrorKind::TimedOut).into());
        };
        match answer {
            Ok(taken) if taken.is_empty() => group.into_iter().for_each(Waiting::accept),
            Ok(taken) => {
                let taken = HashSet::<Uuid>::from_iter(taken);
                let (refused, rest): (Vec<_>, Vec<_>) = group
                    .into_iter()
                    .partition(|waiting| taken.contains(&waiting.id()));
                assert!(
                    !refused.is_empty(),
                    "BUG: ids are taken that nobody has asked for"
                );
                refused.into_iter().for_each(Waiting::refuse_taken);
                if !rest.is_empty() {
                    groups.push(rest);
                }
            }
            Err(error) if concerns_everybody(&error) => {
                groups.push(group);
                return refuse_all(groups, error);
            }
            // Whichever it is for: the others go on without it.
            Err(_) if group.len() > 1 => {
                let later_half = group.split_off(group.len() / 2);
                groups.extend([later_half, group]);
            }
            Err(error) => refuse_all([group], error),
        }
    }
}

/// A big payload takes its time: a second more for each MiB.
fn deadline(group: &[Waiting]) -> Duration {
    let bytes: usize = group.iter().map(|waiting| waiting.row().size()).sum();
    DEADLINE + Duration::from_micros(bytes as u64)
}

/// Returns the ids that are taken. If there are any, nothing was stored.
async fn store(connection: &mut PgConnection, group: &[Waiting]) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut columns = SpawnColumns::default();
    for waiting in group {
        waiting.row().push_to(&mut columns);
    }
    producer::spawn_all(connection, columns).await
}

fn refuse_all(groups: impl IntoIterator<Item = Vec<Waiting>>, error: sqlx::Error) {
    let mut all: Vec<Waiting> = groups.into_iter().flatten().collect();
    // Whoever is told alone has the error itself, and can look into it.
    if all.len() == 1
        && let Some(only) = all.pop()
    {
        return only.refuse(error);
    }
    let error = SharedError::new(error);
    for waiting in all {
        waiting.refuse(error.told());
    }
}
