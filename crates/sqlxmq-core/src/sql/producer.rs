//! The statements of those who spawn jobs.

/// Stores jobs, all or none. One row: the ids that were taken already.
pub(crate) const SPAWN_ALL: &str = "select mq_spawn_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// Stores one job. One row: false if its id was taken already.
pub(crate) const SPAWN_ONE: &str = "select mq_spawn_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// As [`SPAWN_ALL`], with a time for each job that has one.
pub(crate) const SPAWN_ALL_AT: &str =
    "select mq_spawn_all_at($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// Commits held jobs. One row: the ids that were committed.
pub(crate) const COMMIT: &str = "select mq_commit($1)";

/// Removes the jobs of some channels. One row: how many.
pub(crate) const CLEAR: &str = "select mq_clear($1)";

/// Removes all jobs. One row: how many.
pub(crate) const CLEAR_ALL: &str = "select mq_clear_all()";

/// Removes jobs. One row: the ids that were removed.
pub(crate) const CANCEL: &str = "select mq_cancel($1)";

/// One row: whether there is a job with the id.
pub(crate) const EXISTS: &str = "select mq_exists($1)";
