//! How many users each domain has. The job walks over the users page by page, and each page is a checkpoint: an attempt that ends
//! half-way leaves what it has done, and the next one goes on from there.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlxmq::{Checkpoint, CurrentJob, Json, job};
use uuid::Uuid;

use crate::error::ApiError;

/// How many users are counted in one transaction.
pub const PAGE: i64 = 100;

/// The payload, and how far the job has come.
#[derive(Debug, Serialize, Deserialize)]
pub struct Progress {
    report: Uuid,
    /// The last user that was counted.
    pub after: i64,
}

/// Orders a report. Answers with its id, which is the id of its job.
///
/// # Errors
///
/// Fails if the database does.
pub async fn order(State(pool): State<PgPool>) -> Result<(StatusCode, String), ApiError> {
    let report = Uuid::now_v7();
    let mut tx = pool.begin().await?;
    sqlx::query("insert into reports (id) values ($1)")
        .bind(report)
        .execute(&mut *tx)
        .await?;
    let progress = Progress { report, after: 0 };
    count_users
        .builder_with_id(report, &progress)
        .spawn(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, report.to_string()))
}

/// Counts the users. Takes as long as it takes: its lease is renewed while its process lives.
#[job("app.count_users", channel_name = "reports", retries = 10)]
pub async fn count_users(Json(payload): Json<Progress>, job: &mut CurrentJob) -> anyhow::Result<()> {
    let mut progress = payload;
    loop {
        let mut tx = job.pool().begin().await?;
        let last: Option<i64> = sqlx::query_scalar(
            "with page as materialized (
               select id, split_part(email, '@', 2) as domain
               from users
               where id > $2
               order by id
               limit $3
             ), counted as (
               insert into report_lines (report, domain, users)
               select $1, domain, count(*)
               from page
               group by domain
               on conflict (report, domain) do update set users = report_lines.users + excluded.users
             )
             select max(id) from page",
        )
        .bind(progress.report)
        .bind(progress.after)
        .bind(PAGE)
        .fetch_one(&mut *tx)
        .await?;
        let Some(last) = last else {
            sqlx::query("update reports set finished_at = clock_timestamp() where id = $1")
                .bind(progress.report)
                .execute(&mut *tx)
                .await?;
            job.complete_with_transaction(tx).await?;
            return Ok(());
        };
        progress.after = last;
        let mut checkpoint = Checkpoint::new();
        checkpoint.set_json(&progress)?;
        // What was counted, and that it was: one commit.
        job.checkpoint_with_transaction(tx, &checkpoint).await?;
    }
}

/// One line of a report.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Line {
    /// The part of the addresses behind the `@`.
    pub domain: String,
    /// How many users have it.
    pub users: i64,
}

/// Answers with a report that is finished.
///
/// # Errors
///
/// Refuses one that is not.
pub async fn show(
    State(pool): State<PgPool>,
    Path(report): Path<Uuid>,
) -> Result<axum::Json<Vec<Line>>, ApiError> {
    let is_finished: Option<bool> =
        sqlx::query_scalar("select finished_at is not null from reports where id = $1")
            .bind(report)
            .fetch_optional(&pool)
            .await?;
    match is_finished {
        None => Err(ApiError::Refused(
            StatusCode::NOT_FOUND,
            "there is no such report",
        )),
        Some(false) => Err(ApiError::Refused(
            StatusCode::TOO_EARLY,
            "the report is being made",
        )),
        Some(true) => {
            let lines =
                sqlx::query_as("select domain, users from report_lines where report = $1 order by domain");
            Ok(axum::Json(lines.bind(report).fetch_all(&pool).await?))
        }
    }
}
