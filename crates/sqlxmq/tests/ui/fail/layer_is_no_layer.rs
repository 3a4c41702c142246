//! Functions that are no layers: of another result, of other arguments, not async, and of a future that stays on its thread.

use sqlxmq::{BoxError, CurrentJob, JobEnd, JobRegistry, Next};

async fn returns_nothing(job: CurrentJob, next: Next) {
    next.run(job).await;
}

async fn returns_a_jobs_result(job: CurrentJob, next: Next) -> Result<(), BoxError> {
    next.run(job).await;
    Ok(())
}

async fn takes_the_job_only(job: CurrentJob) -> JobEnd {
    JobEnd::new(job, sqlxmq::Outcome::Done)
}

fn is_not_async(job: CurrentJob, _next: Next) -> JobEnd {
    JobEnd::new(job, sqlxmq::Outcome::Done)
}

async fn is_not_send(job: CurrentJob, next: Next) -> JobEnd {
    let counter = std::rc::Rc::new(());
    let end = next.run(job).await;
    drop(counter);
    end
}

fn main() {
    let mut registry = JobRegistry::new(&[]);
    registry.add_layer(returns_nothing);
    registry.add_layer(returns_a_jobs_result);
    registry.add_layer(takes_the_job_only);
    registry.add_layer(is_not_async);
    registry.add_layer(is_not_send);
}
