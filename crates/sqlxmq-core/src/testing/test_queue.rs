//! The queue of one test: its database and its clock.

use std::time::Duration;

use sqlx::{Executor, PgPool};

use super::database::OwnDatabase;
use crate::sql::testing as sql;

/// The queue of one test.
///
/// Its clock stands still until the test moves it: what is due does not depend on how fast the test is.
///
/// All its methods take `&self`. To use it in a job as well, share it: `registry.set_context(Arc::clone(&queue))`, and `queue: Arc<TestQueue>`
/// as an argument of the job.
///
/// # Examples
///
/// ```no_run
/// # async fn example(registry: sqlxmq_core::JobRegistry) {
/// use std::time::Duration;
/// use sqlxmq_core::testing::{Ended, TestQueue};
///
/// let queue = TestQueue::create().await;
/// sqlxmq_core::JobBuilder::new("greet").spawn(queue.pool()).await.unwrap();
/// let ran = queue.drain(&registry).await;
/// assert_eq!(ran[0].ended, Ended::Completed);
/// # }
/// ```
#[derive(Debug)]
pub struct TestQueue {
    pool: PgPool,
    _database: Option<OwnDatabase>,
}

impl TestQueue {
    /// Makes a database of the test's own on the server of `DATABASE_URL`, with the queue in it.
    ///
    /// It is dropped with this value, also when the test panics.
    ///
    /// # Panics
    ///
    /// Panics if `DATABASE_URL` is not set, the server can't be reached, or the role may not create databases.
    pub async fn create() -> Self {
        match std::env::var("DATABASE_URL") {
            Ok(url) => Self::create_at(&url).await,
            Err(_) => panic!(
                "DATABASE_URL is not set: set it to a PostgreSQL whose role may create databases, or use `TestQueue::create_at`"
            ),
        }
    }

    /// Does the same as [`create`](Self::create) on the server of that address.
    ///
    /// # Panics
    ///
    /// As [`create`](Self::create).
    pub async fn create_at(url: &str) -> Self {
        let (database, pool) = OwnDatabase::create(url).await;
        Self::install(pool, Some(database)).await
    }

    /// Takes a test's database, that of `#[sqlx::test]`, and installs the queue there if it is not.
    ///
    /// The clock of that database stands still from now on, for good: never give it one that others use.
    ///
    /// # Panics
    ///
    /// Panics if a runner is at work in the database, or the queue can't be installed.
    pub async fn of(pool: &PgPool) -> Self {
        Self::install(pool.clone(), None).await
    }

    async fn install(pool: PgPool, database: Option<OwnDatabase>) -> Self {
        crate::migrate(&pool)
            .await
            .unwrap_or_else(|error| panic!("failed to install the queue in the test's database: {error:?}"));
        let runners: i64 = sqlx::query_scalar(sql::RUNNERS)
            .fetch_one(&pool)
            .await
            .unwrap_or_else(|error| panic!("failed to look for runners: {error}"));
        assert!(
            runners == 0,
            "{runners} runners are at work in this database, whose clock the testing kit would stop: give it a database of \
             the test's own, by `TestQueue::create` or `#[sqlx::test]`"
        );
        for statements in [include_str!("clock.sql"), include_str!("faults.sql")] {
            pool.execute(statements).await.unwrap_or_else(|error| {
                panic!("failed to install the testing kit, which goes into a database once: {error}")
            });
        }
        Self {
            pool,
            _database: database,
        }
    }

    /// The pool of the test's database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Moves the queue's clock. What is due then is run by the next [`drain`](Self::drain).
    ///
    /// A backoff is up to a tenth longer by chance, and a job of [`spawn_at`](crate::JobBuilder::spawn_at) was spawned for a time of the process's
    /// clock, which goes on: `spawn_at(SystemTime::now())` is due a little later than the queue's clock, which stands still since the `TestQueue` was made.
    /// [`advance_to_next`](Self::advance_to_next) moves to the very moment.
    ///
    /// # Panics
    ///
    /// Panics if the database can't be reached, or after some hundred thousand years.
    pub async fn advance(&self, duration: Duration) {
        let microseconds = i64::try_from(duration.as_micros())
            .unwrap_or_else(|_| panic!("the queue's clock can't be moved by {duration:?}"));
        sqlx::query(sql::ADVANCE)
            .bind(microseconds)
            .execute(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("failed to move the queue's clock: {error}"));
    }

    /// Moves the queue's clock to when the next delayed or retried job is due. Returns by how much: `None` if none is delayed.
    ///
    /// # Panics
    ///
    /// Panics if the database can't be reached.
    pub async fn advance_to_next(&self) -> Option<Duration> {
        let next: Option<i64> = sqlx::query_scalar(sql::NEXT_DUE)
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("failed to look for the next job: {error}"));
        let step = Duration::from_micros(next?.max(0).unsigned_abs());
        self.advance(step).await;
        Some(step)
    }
}
