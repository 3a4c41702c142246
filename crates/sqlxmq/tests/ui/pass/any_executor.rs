//! Code that is generic over sqlx's executors can spawn, as it could with 0.6, and its futures can be sent.

use sqlx::{Executor, PgPool, Postgres};
use sqlxmq::{JobBuilder, SpawnError, commit, job, spawn_all};

#[job]
async fn my_job() {}

async fn by_parameter<'c, E: Executor<'c, Database = Postgres>>(executor: E) -> Result<(), SpawnError> {
    my_job.builder().spawn(executor).await?;
    Ok(())
}

async fn by_argument(executor: impl Executor<'_, Database = Postgres>, builder: &JobBuilder<'_>) -> Result<(), SpawnError> {
    spawn_all(executor, &[builder]).await?;
    Ok(())
}

fn is_send<T: Send>(_: T) {}

fn main() {
    let _ = |pool: PgPool| {
        is_send(async move {
            by_parameter(&pool).await.unwrap();
            by_argument(&pool, &my_job.builder()).await.unwrap();
            let mut tx = pool.begin().await.unwrap();
            by_parameter(&mut *tx).await.unwrap();
            let id = my_job.builder().spawn(&mut *tx).await.unwrap();
            my_job.builder().spawn_at(std::time::SystemTime::now(), &mut *tx).await.unwrap();
            commit(&mut *tx, &[id]).await.unwrap();
            let mut connection = pool.acquire().await.unwrap();
            my_job.builder().spawn(&mut *connection).await.unwrap();
        });
    };
}
