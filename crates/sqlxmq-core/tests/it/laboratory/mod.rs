//! A queue whose time a test decides, and what is true of every queue at rest.
//!
//! The clock is replaced in the test's own database. What is shipped knows nothing of it.

use crate::support::queue;
use devpg::TestDb;
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

/// A database with the queue in it and its clock in the test's hand.
pub async fn laboratory() -> TestDb {
    let db = queue().await;
    let mut connection = db.connect().await;
    run(&mut connection, include_str!("clock.sql")).await;
    run(&mut connection, include_str!("names.sql")).await;
    run(&mut connection, include_str!("unsound.sql")).await;
    db
}

/// Runs statements that must succeed.
pub async fn run(connection: &mut PgConnection, statements: &str) {
    let result = raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(connection)
        .await;
    if let Err(error) = result {
        let first_line = statements.lines().next().unwrap_or_default();
        panic!("{error}, in the statements that begin with `{first_line}`");
    }
}
