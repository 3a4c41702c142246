//! Arguments that are neither made from the job nor can be context: not shared by threads, or not cloned.

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
