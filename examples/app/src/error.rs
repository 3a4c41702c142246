//! What a request can fail with.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sqlxmq::SpawnError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The client asked for something that can't be.
    #[error("{1}")]
    Refused(StatusCode, &'static str),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A job could not be spawned, so nothing of its transaction was stored.
    #[error("a job could not be spawned")]
    Spawn(#[from] SpawnError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(status, reason) => (status, reason).into_response(),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
