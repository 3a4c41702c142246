//! A transaction is no executor of sqlx's: it is dereferenced to one.

use sqlxmq::job;

#[job]
async fn my_job() {}

async fn spawn(pool: sqlx::PgPool) {
    let mut tx = pool.begin().await.unwrap();
    let _ = my_job.builder().spawn(&mut tx).await;
    let _ = sqlxmq::spawn_all(tx, &[my_job.builder()]).await;
}

fn main() {
    let _ = spawn;
}
