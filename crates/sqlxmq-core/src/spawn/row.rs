//! A job as the statement takes it: checked, and by reference.

use uuid::Uuid;

use super::check::{Numbers, check};
use super::new_job::NewJob;
use crate::error::SpawnError;
use crate::store::producer::SpawnColumns;

/// A job that was checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) id: Uuid,
    pub(super) name: &'a str,
    pub(super) channel_name: &'a str,
    pub(super) channel_args: &'a str,
    pub(super) ordered: bool,
    pub(super) numbers: Numbers,
    pub(super) json: Option<&'a str>,
    pub(super) bytes: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// Checks a job.
    pub(super) fn of<'j: 'a>(job: &'a NewJob<'j>) -> Result<Self, SpawnError> {
        let numbers = check(job).map_err(|source| SpawnError::Invalid {
            name: job.name.to_owned(),
            source,
        })?;
        Ok(Self {
            id: job.id,
            name: job.name,
            channel_name: job.channel_name,
            channel_args: job.channel_args,
            ordered: job.ordered,
            numbers,
            json: job.json.as_ref().map(|json| json.text()),
            bytes: job.bytes,
        })
    }

    /// The bytes of its texts and payloads.
    pub(super) fn size(&self) -> usize {
        self.name.len()
            + self.channel_name.len()
            + self.channel_args.len()
            + self.json.map_or(0, str::len)
            + self.bytes.map_or(0, <[u8]>::len)
    }

    pub(super) fn push_to(self, columns: &mut SpawnColumns<'a>) {
        columns.ids.push(self.id);
        columns.names.push(self.name);
        columns.channel_names.push(self.channel_name);
        columns.channel_args.push(self.channel_args);
        columns.ordered.push(self.ordered);
        columns.retries.push(self.numbers.retries);
        columns.backoffs_us.push(self.numbers.backoff_us);
        columns.max_backoffs_us.push(self.numbers.max_backoff_us);
        columns.delays_us.push(self.numbers.delay_us);
        columns.due_us.push(self.numbers.due_us);
        columns.commit_intervals_us.push(self.numbers.commit_interval_us);
        columns.payloads_json.push(self.json);
        columns.payloads_bytes.push(self.bytes);
    }
}
