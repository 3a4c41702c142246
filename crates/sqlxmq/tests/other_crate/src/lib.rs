//! Jobs in a crate of their own: one for everybody, one that only the registry knows.

use std::fmt::Error;

use sqlxmq::{CurrentJob, job};

/// Does nothing, for everybody.
#[job]
pub async fn public(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

mod hidden {
    use super::*;

    #[job]
    async fn private(_job: CurrentJob) -> Result<(), Error> {
        Ok(())
    }
}
