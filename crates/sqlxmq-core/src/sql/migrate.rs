//! The statements around the migrations.

/// A timeout is for the application's statements.
pub(crate) const NO_STATEMENT_TIMEOUT: &str = "set statement_timeout = 0";

/// Takes away what the role's or the database's settings could do to a migration. A simple query.
///
/// Its other timeouts, as [`NO_STATEMENT_TIMEOUT`], are for the application's statements. A long transaction must not be read-only
/// or see an old snapshot. Notices ("already exists, skipping") would be logged at each start.
pub(crate) const PREPARE_SESSION: &str = "\
set lock_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = off;
set default_transaction_deferrable = off;
set client_min_messages = warning";

/// One row: the schema that unqualified objects are created in; null if there is none.
pub(crate) const CURRENT_SCHEMA: &str = "select current_schema()::text";

/// Tries to take the migration lock of the current schema. One row: whether it was taken.
///
/// The key is the first 8 bytes of a sha256 of our own, so that it meets no key of the application's.
pub(crate) const TRY_LOCK: &str = "\
select pg_try_advisory_lock(
  ('x' || left(encode(sha256(convert_to('sqlxmq migrate ' || current_schema(), 'UTF8')), 'hex'), 16))::bit(64)::bigint
)";
