//! What a load balancer asks.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use sqlxmq::JobRunnerHandle;

/// The runner asks for jobs each second. After so many without an answer, something is wrong.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Answers 200 while the runner is doing well, and 503 before its first claim, when it is stopping, or when it has not reached the
/// database for long.
pub async fn health(State(runner): State<Arc<JobRunnerHandle>>) -> (StatusCode, String) {
    let health = runner.health();
    let is_silent = health.last_claim.is_none_or(|age| age > LONGEST_SILENCE);
    // A runner that is full does not claim.
    let is_well = !health.stopping && (!is_silent || health.running_jobs > 0);
    let status = match is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{} jobs are running\n", health.running_jobs))
}
