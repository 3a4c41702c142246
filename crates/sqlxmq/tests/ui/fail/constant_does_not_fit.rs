//! Constants of another type, out of bounds, and where there can be none.

use std::time::Duration;

use sqlxmq::job;

const TOO_MANY: u32 = 1_000_001;
const FOR_EVER: Duration = Duration::MAX;
const SECONDS: f64 = 1.5;
const WITH_NUL: &str = "a\0b";
const NAME: &str = "name";

#[job(retries = TOO_MANY)]
async fn too_many() {}

#[job(timeout = FOR_EVER)]
async fn for_ever() {}

#[job(channel_name = WITH_NUL)]
async fn with_nul() {}

#[job(delay = SECONDS)]
async fn of_another_type() {}

#[job(delay_secs = SECONDS)]
async fn seconds() {}

#[job(name = NAME)]
async fn named() {}

#[job(backoff = liner)]
async fn misspelt() {}

fn main() {}
