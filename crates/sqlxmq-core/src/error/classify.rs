//! What an error of PostgreSQL or of the connection means for a caller.

/// Returns whether a transaction that failed with this error should be run again from its start.
///
/// True for serialization failures (SQLSTATE 40001) and deadlocks (40P01), as in sqlxmq 0.6. False for a lost
/// connection: whether its transaction was committed is not known, so running it again may do things twice.
pub fn should_retry(error: &sqlx::Error) -> bool {
    matches!(sqlstate(error).as_deref(), Some("40001" | "40P01"))
}

/// Returns whether the same call may succeed later without anybody's intervention.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        _ => sqlstate(error).is_some_and(|code| is_transient_sqlstate(&code)),
    }
}

/// Returns whether PostgreSQL does not know the function or table that was named, in the search path there is.
pub(crate) fn is_schema_missing(error: &sqlx::Error) -> bool {
    // undefined_function, undefined_table, invalid_schema_name
    matches!(sqlstate(error).as_deref(), Some("42883" | "42P01" | "3F000"))
}

/// Returns whether a statement for several jobs would have failed without any one of them as well.
///
/// False only for what PostgreSQL has said of a statement: nothing of it was stored then.
pub(crate) fn concerns_everybody(error: &sqlx::Error) -> bool {
    let Some(code) = sqlstate(error) else { return true };
    // 42: no such function, or no right to call it.
    let is_of_the_statement = is_schema_missing(error) || code.starts_with("42");
    is_of_the_statement || is_transient(error) && !should_retry(error)
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn is_transient_sqlstate(code: &str) -> bool {
    const CLASSES: [&str; 2] = [
        "08", // connection exception
        "53", // insufficient resources: too many connections, disk full, out of memory
    ];
    const CODES: [&str; 11] = [
        "25006", // read_only_sql_transaction: connected to a standby, after a failover
        "25P03", // idle_in_transaction_session_timeout: the session was ended
        "25P04", // transaction_timeout: as above
        "40001", // serialization_failure
        "40P01", // deadlock_detected
        "55P03", // lock_not_available: lock_timeout
        "57014", // query_canceled: statement_timeout, or somebody's cancel
        "57P01", // admin_shutdown
        "57P02", // crash_shutdown
        "57P03", // cannot_connect_now: starting up or shutting down
        "57P05", // idle_session_timeout: the session was ended
    ];
    CODES.contains(&code) || CLASSES.iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_transient_and_mistakes_are_not() {
        for code in [
            "08006", "53300", "53100", "57P01", "57P03", "25006", "40001", "40P01", "55P03",
        ] {
            assert!(is_transient_sqlstate(code), "{code}");
        }
        for code in [
            "42883", "42P01", "42501", "23505", "23514", "22021", "25001", "3F000", "",
        ] {
            assert!(!is_transient_sqlstate(code), "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_transient_but_no_reason_to_run_the_transaction_again() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(is_transient(&lost));
        assert!(!should_retry(&lost));
        assert!(is_transient(&sqlx::Error::PoolTimedOut));
        assert!(!is_transient(&sqlx::Error::PoolClosed));
        assert!(!is_transient(&sqlx::Error::RowNotFound));
    }
}
