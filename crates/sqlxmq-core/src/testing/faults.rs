//! Accidents on demand.

use super::TestQueue;
use crate::sql::testing as sql;

impl TestQueue {
    /// Ends the leases of runners, as if they had been silent for too long, and takes their running jobs. Returns how many.
    ///
    /// Called while a job runs, from its function or a layer: the job can't complete any more, its attempt is used, and it is
    /// ready for another one or dead.
    ///
    /// # Panics
    ///
    /// Panics if the statement fails.
    pub async fn lose_leases(&self) -> u64 {
        self.try_to_lose_leases()
            .await
            .unwrap_or_else(|error| panic!("failed to take the jobs from their runner: {error}"))
    }

    async fn try_to_lose_leases(&self) -> Result<u64, sqlx::Error> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query(sql::EXPIRE_LEASES).execute(&mut *transaction).await?;
        let lost: i64 = sqlx::query_scalar(sql::REAP_ALL)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(lost.unsigned_abs())
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
