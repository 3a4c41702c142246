//! A job that outlives its builder, and whoever waits for it.

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::error::SpawnError;
use crate::spawn::check::Numbers;
use crate::spawn::row::Row;

/// A checked job that owns its texts: its caller may be gone when it is sent.
#[derive(Debug)]
pub(super) struct KeptJob {
    id: Uuid,
    name: String,
    channel_name: String,
    channel_args: String,
    ordered: bool,
    numbers: Numbers,
    json: Option<String>,
    bytes: Option<Vec<u8>>,
}

impl KeptJob {
    pub(super) fn of(row: Row<'_>) -> Self {
        Self {
            id: row.id,
            name: row.name.to_owned(),
            channel_name: row.channel_name.to_owned(),
            channel_args: row.channel_args.to_owned(),
            ordered: row.ordered,
            numbers: row.numbers,
            json: row.json.map(str::to_owned),
            bytes: row.bytes.map(<[u8]>::to_vec),
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        Row {
            id: self.id,
            name: &self.name,
            channel_name: &self.channel_name,
            channel_args: &self.channel_args,
            ordered: self.ordered,
            numbers: self.numbers,
            json: self.json.as_deref(),
            bytes: self.bytes.as_deref(),
        }
    }
}

/// A job on its way, and where its outcome is told. Dropped without a word it tells that it was lost.
#[derive(Debug)]
pub(super) struct Waiting {
    job: KeptJob,
    reply: oneshot::Sender<Result<(), SpawnError>>,
}

impl Waiting {
    pub(super) fn new(job: KeptJob, reply: oneshot::Sender<Result<(), SpawnError>>) -> Self {
        Self { job, reply }
    }

    pub(super) fn id(&self) -> Uuid {
        self.job.id
    }

    pub(super) fn row(&self) -> Row<'_> {
        self.job.row()
    }

    /// Whether nobody waits any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }

    pub(super) fn accept(self) {
        // Nobody waits any more: the job is stored all the same.
        let _ = self.reply.send(Ok(()));
    }

    pub(super) fn refuse_taken(self) {
        let ids = vec![self.job.id];
        let _ = self.reply.send(Err(SpawnError::DuplicateId { ids }));
    }

    pub(super) fn refuse(self, source: sqlx::Error) {
        let error = SpawnError::store(&self.job.name, 1, source);
        let _ = self.reply.send(Err(error));
    }
}
