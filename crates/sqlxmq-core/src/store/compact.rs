//! Vacuum and the looks around it. Nothing is decided here.

use sqlx::PgConnection;

use crate::compact::Horizon;
use crate::sql::compact::{self as sql, HOT_TABLES, HotTable};

/// What a table and its TOAST table hold, by the statistics, and how big they are with their indexes.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct TableSeen {
    pub(crate) name: String,
    /// Whether this role may vacuum it.
    pub(crate) is_ours: bool,
    pub(crate) live: i64,
    pub(crate) dead: i64,
    pub(crate) toast_live: i64,
    pub(crate) toast_dead: i64,
    /// How many vacuums have been through it.
    pub(crate) vacuums: i64,
    pub(crate) bytes: i64,
}

impl TableSeen {
    pub(crate) fn hot(&self) -> &'static HotTable {
        match HOT_TABLES.iter().find(|hot| hot.name == self.name) {
            Some(hot) => hot,
            None => unreachable!("BUG: a table was looked at that is not on the list"),
        }
    }

    /// The same when its dead rows are gone.
    pub(crate) fn without_dead(&self) -> Self {
        Self {
            dead: 0,
            toast_dead: 0,
            ..self.clone()
        }
    }
}

/// Looks at the hot tables. Empty: there is no queue in the search path.
pub(crate) async fn look(connection: &mut PgConnection) -> Result<Vec<TableSeen>, sqlx::Error> {
    let names: Vec<&str> = HOT_TABLES.iter().map(|hot| hot.name).collect();
    sqlx::query_as(sql::LOOK).bind(names).fetch_all(connection).await
}

/// Sets how long the statements of this session wait, and takes the lock. False: another session has it.
pub(crate) async fn begin(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql(sql::SESSION).execute(&mut *connection).await?;
    sqlx::query_scalar(sql::TRY_LOCK).fetch_one(connection).await
}

/// `None`: nobody can be seen who keeps dead rows.
pub(crate) async fn horizon(connection: &mut PgConnection) -> Result<Option<Horizon>, sqlx::Error> {
    let oldest: Option<i64> = sqlx::query_scalar(sql::HORIZON)
        .fetch_optional(connection)
        .await?;
    // An id has 32 bits.
    Ok(oldest.and_then(|id| u32::try_from(id).ok()).map(Horizon))
}

/// The server process of this connection.
pub(crate) async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql::PROCESS).fetch_one(connection).await
}

/// Ends what that process does if it is a vacuum of this table that somebody waits for. Returns whether it has.
pub(crate) async fn give_way(
    connection: &mut PgConnection,
    table: &HotTable,
    process: i32,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql::GIVE_WAY)
        .bind(table.name)
        .bind(process)
        .fetch_one(connection)
        .await
}

pub(crate) async fn vacuum(connection: &mut PgConnection, table: &HotTable) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(table.vacuum).execute(connection).await.map(drop)
}

pub(crate) async fn rewrite(connection: &mut PgConnection, table: &HotTable) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql::BEFORE_REWRITE)
        .execute(&mut *connection)
        .await?;
    let answer = sqlx::raw_sql(table.rewrite).execute(&mut *connection).await;
    if let Err(sqlx::Error::Database(_)) | Ok(_) = &answer {
        sqlx::raw_sql(sql::AFTER_REWRITE).execute(connection).await?;
    }
    answer.map(drop)
}

/// Whether a statement was ended by its timeout, or cancelled.
pub(crate) fn is_timed_out(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(answer) if answer.code().as_deref() == Some("57014"))
}
