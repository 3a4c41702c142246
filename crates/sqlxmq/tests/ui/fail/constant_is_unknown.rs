//! A constant that is not there.

use sqlxmq::job;

#[job(retries = UNKNOWN)]
async fn unknown() {}

fn main() {}
