//! Spawning many jobs in one statement: planned first, then sent.

use std::collections::HashSet;

use sqlx::Postgres;
use uuid::Uuid;

use super::check::check;
use super::new_job::NewJob;
use crate::config::MAX_BATCH_BYTES;
use crate::error::SpawnError;
use crate::store::producer::{self, SpawnColumns};

/// Stores any number of jobs in one statement, all or none, and returns their ids in order.
///
/// The jobs may be of different kinds. Ordered jobs of one channel are ordered as in the slice. An
/// empty slice sends nothing.
///
/// # Errors
///
/// As for [`JobBuilder::spawn`](crate::JobBuilder::spawn); an id given twice in the slice is a
/// [`SpawnError::DuplicateId`] too.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been stored.
pub async fn spawn_all<'b, 'j, E, B>(executor: E, jobs: &[B]) -> Result<Vec<Uuid>, SpawnError>
where
    E: sqlx::Executor<'b, Database = Postgres>,
    B: AsRef<NewJob<'j>>,
{
    let columns = plan(jobs)?;
    let ids = columns.ids.clone();
    let Some(&first_name) = columns.names.first() else {
        return Ok(ids);
    };
    let taken = producer::spawn_all(executor, columns)
        .await
        .map_err(|source| SpawnError::store(first_name, ids.len(), source))?;
    match taken.is_empty() {
        true => Ok(ids),
        false => Err(SpawnError::DuplicateId { ids: taken }),
    }
}

/// Checks the jobs and turns them into columns.
fn plan<'a, 'j: 'a, B: AsRef<NewJob<'j>>>(jobs: &'a [B]) -> Result<SpawnColumns<'a>, SpawnError> {
    let mut columns = SpawnColumns::default();
    let mut bytes: usize = 0;
    for job in jobs {
        let job = job.as_ref();
        let numbers = check(job).map_err(|source| SpawnError::Invalid {
            name: job.name.to_owned(),
            source,
        })?;
        bytes += job.payload_bytes() + job.name.len() + job.channel_name.len() + job.channel_args.len();
        if bytes > MAX_BATCH_BYTES {
            return Err(SpawnError::BatchTooLarge {
                bytes,
                limit: MAX_BATCH_BYTES,
            });
        }
        columns.ids.push(job.id);
        columns.names.push(job.name);
        columns.channel_names.push(job.channel_name);
        columns.channel_args.push(job.channel_args);
        columns.ordered.push(job.ordered);
        columns.retries.push(numbers.retries);
        columns.backoffs_us.push(numbers.backoff_us);
        columns.max_backoffs_us.push(numbers.max_backoff_us);
        columns.delays_us.push(numbers.delay_us);
        columns.commit_intervals_us.push(numbers.commit_interval_us);
        columns
            .payloads_json
            .push(job.json.as_ref().map(|json| json.text()));
        columns.payloads_bytes.push(job.bytes);
    }
    refuse_duplicates(&columns.ids)?;
    Ok(columns)
}

fn refuse_duplicates(ids: &[Uuid]) -> Result<(), SpawnError> {
    let mut seen = HashSet::with_capacity(ids.len());
    let twice: Vec<Uuid> = ids.iter().copied().filter(|id| !seen.insert(*id)).collect();
    match twice.is_empty() {
        true => Ok(()),
        false => Err(SpawnError::DuplicateId { ids: twice }),
    }
}
