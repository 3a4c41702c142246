//! A job's transaction, taken otherwise than it is given.

use sqlxmq::{JobTx, job};

#[job]
async fn owned(_tx: JobTx) {}

#[job]
async fn shared(_tx: &JobTx) {}

#[job]
async fn twice(_tx: &mut JobTx, _other: &mut JobTx) {}

type Renamed = JobTx;

#[job]
async fn renamed(_tx: Renamed) {}

fn main() {}
