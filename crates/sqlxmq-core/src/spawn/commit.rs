//! The second phase of a two-phase spawn.

use std::collections::HashSet;

use sqlx::Postgres;
use uuid::Uuid;

use crate::error::CommitError;
use crate::store::producer;

/// Commits jobs that were spawned with a commit interval, which makes them ready.
///
/// An empty slice sends nothing.
///
/// # Errors
///
/// Returns [`CommitError::Expired`] if some of the jobs are not held any more; it says which, and the others are
/// committed. The caller's transaction stays usable.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been committed.
pub async fn commit<'b, E: sqlx::Executor<'b, Database = Postgres>>(
    executor: E,
    job_ids: &[Uuid],
) -> Result<(), CommitError> {
    if job_ids.is_empty() {
        return Ok(());
    }
    let committed = producer::commit(executor, job_ids)
        .await
        .map_err(|source| CommitError::store(job_ids.len(), source))?;
    let missing = missing(job_ids, &committed);
    match missing.is_empty() {
        true => Ok(()),
        false => Err(CommitError::Expired { committed, missing }),
    }
}

/// Returns the wanted ids that were not committed, each once, in order.
fn missing(wanted: &[Uuid], committed: &[Uuid]) -> Vec<Uuid> {
    let mut done: HashSet<Uuid> = committed.iter().copied().collect();
    wanted.iter().copied().filter(|id| done.insert(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_committed_is_missing_once() {
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        assert_eq!(missing(&[a, b, c, b, a], &[b]), [a, c]);
        assert!(missing(&[a, a], &[a]).is_empty());
    }
}
