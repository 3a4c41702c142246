//! Accidents on demand.

use super::TestQueue;
use crate::sql::testing as sql;

impl TestQueue {
    /// Takes the running jobs from their runner, as if its lease had ended. Returns how many.
    ///
    /// Called while a job runs, from its function or beside [`drain`](Self::drain): the job can't complete any more, and is ready
    /// for another attempt.
    ///
    /// # Panics
    ///
    /// Panics if the statement fails.
    pub async fn lose_leases(&self) -> u64 {
        let lost: i64 = sqlx::query_scalar(sql::LOSE_LEASES)
            .fetch_one(self.pool())
            .await
            .unwrap_or_else(|error| panic!("failed to take the jobs from their runner: {error}"));
        lost.unsigned_abs()
    }

    /// Makes the next completion fail, once: its statement returns an error, and so its transaction does not commit.
    ///
    /// # Panics
    ///
    /// Panics if the statement fails.
    pub async fn fail_next_complete(&self) {
        sqlx::query(sql::FAIL_NEXT_COMPLETE)
            .execute(self.pool())
            .await
            .unwrap_or_else(|error| panic!("failed to arrange for a failure: {error}"));
    }
}
