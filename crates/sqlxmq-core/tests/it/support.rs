//! A migrated database per test, and a runner's statements by hand: who tests the queue's front needs jobs in every
//! state without a runner.

use std::time::Duration;

use devpg::TestDb;
use sqlx::PgPool;
use sqlxmq_core::JobBuilder;
use uuid::Uuid;

/// No jobs, where the type of an empty array has to be said.
pub const NONE: [Uuid; 0] = [];

/// A database with the queue in it.
pub async fn queue() -> TestDb {
    TestDb::create(sqlxmq_core::migrator()).await
}

/// A builder with a name that says what the job is for.
pub fn job(name: &str) -> JobBuilder<'_> {
    JobBuilder::new(name)
}

/// A pool whose server does not exist: whoever touches it gets an error.
pub fn nowhere() -> PgPool {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host("/nonexistent")
        .socket("/nonexistent");
    sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy_with(options)
}

/// Returns the states a job is in. There is one, or none if it is gone.
pub async fn states(pool: &PgPool, id: Uuid) -> Vec<String> {
    sqlx::query_scalar(
        "select 'held' from mq_held where id = $1
         union all select 'scheduled' from mq_scheduled where id = $1
         union all select 'ready' from mq_ready_jobs where id = $1
         union all select 'running' from mq_running where id = $1
         union all select 'dead' from mq_dead where id = $1
         union all select 'ready' from mq_line as l where l.id = $1
           and not exists (select from mq_held as h where h.id = l.id)
           and not exists (select from mq_scheduled as s where s.id = l.id)
           and not exists (select from mq_running as r where r.id = l.id)",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .expect("the states of a job")
}

/// A runner's session, statement by statement.
pub struct ByHand {
    pool: PgPool,
    runner: Uuid,
    claim: i64,
}

impl ByHand {
    /// Registers a runner with a lease of an hour: nobody renews it.
    pub async fn register(pool: &PgPool) -> Self {
        let runner = Uuid::new_v4();
        sqlx::query("select mq_register($1, interval '1 hour', 'by hand')")
            .bind(runner)
            .execute(pool)
            .await
            .expect("a runner");
        Self {
            pool: pool.clone(),
            runner,
            claim: 0,
        }
    }

    /// Claims everything that is ready and returns it, with the claim's number.
    pub async fn claim(&mut self) -> (Vec<Uuid>, i64) {
        self.claim_named(None).await
    }

    /// Claims everything of a name that is ready and returns it, with the claim's number.
    pub async fn claim_named(&mut self, name: Option<&str>) -> (Vec<Uuid>, i64) {
        self.claim += 1;
        let ids = sqlx::query_scalar(
            "select ids from mq_claim_by_name(
               runner => $1, claim => $2, max_jobs => 1000, max_bytes => 1 << 30,
               name_keys => case when $3 is not null then array[mq_key($3)] end,
               sweep => true, own_lease => null, asleep => false)",
        )
        .bind(self.runner)
        .bind(self.claim)
        .bind(name)
        .fetch_one(&self.pool)
        .await
        .expect("a claim");
        (ids, self.claim)
    }

    /// Completes a job and returns whether the claim was still valid.
    pub async fn complete(&self, id: Uuid, claim: i64) -> bool {
        let completed: Vec<Uuid> =
            sqlx::query_scalar("select completed from mq_complete($1, array[$2], array[$3], true)")
                .bind(self.runner)
                .bind(id)
                .bind(claim)
                .fetch_one(&self.pool)
                .await
                .expect("a completion");
        completed == [id]
    }

    /// Fails a job's attempt and returns whether the claim was still valid.
    pub async fn fail(&self, id: Uuid, claim: i64, error: &str) -> bool {
        let failed: Vec<Uuid> =
            sqlx::query_scalar("select failed from mq_fail($1, array[$2], array[$3], array[$4], true)")
                .bind(self.runner)
                .bind(id)
                .bind(claim)
                .bind(error)
                .fetch_one(&self.pool)
                .await
                .expect("a failure");
        failed == [id]
    }

    /// Claims and fails everything of a name that is ready.
    pub async fn fail_all(&mut self, name: &str, error: &str) -> Vec<Uuid> {
        let (ids, claim) = self.claim_named(Some(name)).await;
        for &id in &ids {
            assert!(self.fail(id, claim, error).await, "the claim of {id} was lost");
        }
        ids
    }
}
