//! The statement timeout of a connection of our own.

use sqlx::{Executor, Postgres};

/// Replaces the role's statement timeout by ours. One of a millisecond may hit even that, now and then.
///
/// `statement`: that and nothing else.
pub(crate) async fn replace_statement_timeout<C>(
    connection: &mut C,
    statement: &'static str,
) -> Result<(), sqlx::Error>
where
    for<'c> &'c mut C: Executor<'c, Database = Postgres>,
{
    const TRIES: usize = 50;
    for _ in 1..TRIES {
        match sqlx::raw_sql(statement).execute(&mut *connection).await {
            Err(sqlx::Error::Database(answer)) if answer.code().as_deref() == Some("57014") => {}
            answer => return answer.map(drop),
        }
    }
    sqlx::raw_sql(statement).execute(connection).await.map(drop)
}
