//! An item that is no function; it stays usable.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[job]
struct Mail;

fn uses(_: Mail) {}

fn main() {}
