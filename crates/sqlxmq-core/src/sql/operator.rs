//! The statements of those who look after the queue.

/// Dead jobs by id, after a given one.
pub(crate) const DEAD_JOBS: &str = "\
select id, name, channel_name, channel_args, attempts, died_at, last_error
from mq_dead_jobs($1, $2)";

/// Makes dead jobs ready again. One row: their ids.
pub(crate) const REQUEUE: &str = "select mq_requeue($1)";

/// Removes dead jobs. One row: their ids.
pub(crate) const DISCARD: &str = "select mq_discard($1)";

/// The errors of a job's attempts.
pub(crate) const JOB_ERRORS: &str = "\
select attempt, failed_at, error
from mq_job_errors($1)";

/// How many jobs there are per channel and state.
pub(crate) const COUNTS: &str = "\
select channel_name, channel_args, state, jobs
from mq_counts()";
