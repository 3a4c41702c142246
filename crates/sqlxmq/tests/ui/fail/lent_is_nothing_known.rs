//! A mutable reference to what the runner does not lend: context, and an extractor.

use sqlxmq::{BoxError, FromJob, JobInput, job};

struct Tenant;

impl FromJob for Tenant {
    type Error = BoxError;

    async fn from_job(_input: &JobInput<'_>) -> Result<Self, BoxError> {
        Ok(Self)
    }
}

#[job]
async fn context(_names: &mut Vec<String>) {}

#[job]
async fn extractor(_tenant: &mut Tenant) {}

#[job]
async fn transaction(_tx: &mut sqlx::Transaction<'static, sqlx::Postgres>) {}

fn main() {}
