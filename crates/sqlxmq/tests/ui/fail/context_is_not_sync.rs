//! Context that cannot be shared by threads, or not be cloned.

use sqlxmq::{CurrentJob, job};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

struct NotClone;

#[job]
async fn not_sync(_job: CurrentJob, _context: std::rc::Rc<str>) -> Outcome {
    Ok(())
}

#[job]
async fn not_clone(_job: CurrentJob, _context: NotClone) -> Outcome {
    Ok(())
}

fn main() {}
