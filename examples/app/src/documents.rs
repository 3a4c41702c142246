//! Each version of a document is counted and then published. The jobs are ordered, in a channel for each document: no version
//! overtakes another, and a document whose jobs fail holds up nobody but itself.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlxmq::{CurrentJob, Json, job, spawn_all};
use uuid::Uuid;

use crate::error::ApiError;

/// Which version the steps are about.
#[derive(Debug, Serialize, Deserialize)]
pub struct Version {
    document: Uuid,
    /// Counted from 1.
    pub version: i32,
}

/// Stores a version of a document and spawns its steps. Answers with its number.
///
/// # Errors
///
/// Fails if the database does.
pub async fn save(
    State(pool): State<PgPool>,
    Path(document): Path<Uuid>,
    text: String,
) -> Result<(StatusCode, String), ApiError> {
    let mut tx = pool.begin().await?;
    // The document's row is locked from here to the commit. So of two versions one is committed before the other is spawned,
    // and that is the order of their jobs.
    let version: i32 = sqlx::query_scalar(
        "insert into documents (id, versions) values ($1, 1)
         on conflict (id) do update set versions = documents.versions + 1
         returning versions",
    )
    .bind(document)
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query("insert into document_versions (document, version, text) values ($1, $2, $3)")
        .bind(document)
        .bind(version)
        .bind(text)
        .execute(&mut *tx)
        .await?;

    let payload = Version { document, version };
    let channel_args = document.to_string();
    let (mut first, mut second) = (count_words.builder(&payload), publish.builder(&payload));
    first.set_channel_args(&channel_args);
    second.set_channel_args(&channel_args);
    spawn_all(&mut *tx, &[first, second]).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, version.to_string()))
}

/// The first step.
#[job("app.count_words", channel_name = "documents", ordered)]
pub async fn count_words(Json(payload): Json<Version>, job: &mut CurrentJob) -> anyhow::Result<()> {
    let Version { document, version } = payload;
    let mut tx = job.pool().begin().await?;
    let text: String =
        sqlx::query_scalar("select text from document_versions where document = $1 and version = $2")
            .bind(document)
            .bind(version)
            .fetch_one(&mut *tx)
            .await?;
    sqlx::query("update document_versions set words = $3 where document = $1 and version = $2")
        .bind(document)
        .bind(version)
        .bind(i32::try_from(text.split_whitespace().count())?)
        .execute(&mut *tx)
        .await?;
    // The count and the end of the job are one commit.
    job.complete_with_transaction(tx).await?;
    Ok(())
}

/// The second step. It has the result of the first: that has ended.
#[job("app.publish", channel_name = "documents", ordered)]
pub async fn publish(Json(payload): Json<Version>, job: &mut CurrentJob) -> anyhow::Result<()> {
    let mut tx = job.pool().begin().await?;
    sqlx::query("update documents set published = $2 where id = $1")
        .bind(payload.document)
        .bind(payload.version)
        .execute(&mut *tx)
        .await?;
    job.complete_with_transaction(tx).await?;
    Ok(())
}

/// What of a document is published.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Published {
    /// Counted from 1.
    pub version: i32,
    /// How many words it has.
    pub words: Option<i32>,
}

/// Answers with the published version.
///
/// # Errors
///
/// Refuses a document of which nothing is published.
pub async fn show(
    State(pool): State<PgPool>,
    Path(document): Path<Uuid>,
) -> Result<axum::Json<Published>, ApiError> {
    let published = sqlx::query_as(
        "select v.version, v.words
         from documents as d
         join document_versions as v on v.document = d.id and v.version = d.published
         where d.id = $1",
    )
    .bind(document)
    .fetch_optional(&pool)
    .await?;
    published.map(axum::Json).ok_or(ApiError::Refused(
        StatusCode::NOT_FOUND,
        "nothing is published of that document",
    ))
}
