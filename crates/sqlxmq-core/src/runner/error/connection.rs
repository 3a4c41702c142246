//! What an error says about the connection it came over.

/// Whether the connection can't be used any more, or leads to a server that can't be used.
pub(crate) fn is_disconnect(error: &sqlx::Error) -> bool {
    match error {
        // 57P01 to 57P03: shutting down, crashed, starting up. 25006: read only, which after a failover means the wrong server.
        // 25P03, 25P04 and 57P05: the session was ended for taking too long.
        sqlx::Error::Database(answer) => answer.code().is_some_and(|code| {
            code.starts_with("08")
                || matches!(
                    &*code,
                    "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P03" | "25P04"
                )
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}
