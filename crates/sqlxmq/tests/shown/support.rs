//! What every module here needs: a database with the queue in it, and quiet for those that need it.

use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlx::PgPool;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::const_new(());

/// Waits until no other test of this process runs, and keeps the others waiting: for those that load the whole machine, or
/// measure it. (Under nextest, `.config/nextest.toml` does the same among processes.)
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// Waits until nobody wants to be alone.
pub async fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}

/// A database with the queue in it.
pub async fn queue() -> TestDb {
    TestDb::create(sqlxmq::migrator()).await
}

/// Runs statements that have no parameters.
pub async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql)
        .execute(pool)
        .await
        .expect("a statement that works");
}

/// The one number that a query returns.
pub async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

/// Waits until the one number that a query returns is not 0.
pub async fn until_some(pool: &PgPool, sql: &'static str) {
    eventually(sql, async || match number(pool, sql).await {
        0 => Err("0".to_owned()),
        _ => Ok(()),
    })
    .await;
}

/// Numbers that look random and are the same in each run: xorshift.
pub struct Dice(u64);

impl Dice {
    /// Dice of a player.
    pub fn of(player: i32) -> Self {
        let mut dice = Self(
            0x9e37_79b9_7f4a_7c15 ^ u64::from(player.unsigned_abs() + 1).wrapping_mul(0x2545_f491_4f6c_dd1d),
        );
        dice.below(2);
        dice
    }

    /// A number from 0 to `sides` - 1.
    pub fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// What comes next over a channel from a job.
///
/// # Panics
///
/// If nothing comes within 20 seconds.
pub async fn next<T>(from_jobs: &mut UnboundedReceiver<T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), from_jobs.recv())
        .await
        .expect("a word from a job within 20 s")
        .expect("a runner that lives")
}
