//! A new user gets a letter: the job is spawned by the transaction that creates the user, so there is never one without the other.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlxmq::{CurrentJob, Json, job};

use crate::error::ApiError;
use crate::mail::{Letter, MailError, Mailer};

/// What the client sends.
#[derive(Debug, Deserialize)]
pub struct SignUp {
    email: String,
}

/// What the job needs to know. Ids, mostly: what they stand for may have changed when the job runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The user.
    pub user: i64,
}

/// Creates a user.
///
/// # Errors
///
/// Refuses an address that is taken.
pub async fn sign_up(
    State(pool): State<PgPool>,
    axum::Json(SignUp { email }): axum::Json<SignUp>,
) -> Result<StatusCode, ApiError> {
    let mut tx = pool.begin().await?;
    let user: Option<i64> =
        sqlx::query_scalar("insert into users (email) values ($1) on conflict do nothing returning id")
            .bind(&email)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(user) = user else {
        return Err(ApiError::Refused(StatusCode::CONFLICT, "the address is taken"));
    };
    welcome.builder(&Welcome { user }).spawn(&mut *tx).await?;
    tx.commit().await?;
    Ok(StatusCode::CREATED)
}

/// Why the letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum WelcomeError {
    /// The database failed.
    #[error("the user could not be read")]
    Database(#[from] sqlx::Error),
    /// The mail server failed.
    #[error("the letter could not be sent")]
    Mail(#[from] MailError),
}

impl sqlxmq::JobError for WelcomeError {
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Mail(error) if error.is_permanent())
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Mail(error) => error.retry_after(),
            Self::Database(_) => None,
        }
    }
}

/// Sends the letter. A process that dies right after it has done so leaves a job that sends it again: at least once.
#[job(
    "app.welcome",
    channel_name = "mail",
    retries = 7,
    backoff = "30s",
    timeout = "1m"
)]
pub async fn welcome(
    Json(payload): Json<Welcome>,
    job: &CurrentJob,
    Mailer(mailer): Mailer,
) -> Result<(), WelcomeError> {
    let email: Option<String> = sqlx::query_scalar("select email from users where id = $1")
        .bind(payload.user)
        .fetch_optional(job.pool())
        .await?;
    // Gone again: nothing to do is done.
    let Some(email) = email else { return Ok(()) };
    let letter = Letter {
        message_id: job.id(),
        to: email,
        text: "Welcome!".to_owned(),
    };
    mailer.send(letter).await?;
    Ok(())
}
