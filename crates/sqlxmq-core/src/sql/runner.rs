//! The statements of the runner's own connections.
//!
//! Durations travel as microseconds and transaction ids as text, because neither has an exact counterpart on both sides.

pub(crate) const REGISTER: &str = "select mq_register($1, $2::bigint * interval '1 microsecond', $3)";

pub(crate) const RENEW: &str = "select mq_renew($1, $2::bigint * interval '1 microsecond')";

pub(crate) const AUDIT: &str = "select lost, failed from mq_audit($1, $2, $3, $4)";

pub(crate) const UNREGISTER: &str = "select mq_unregister($1)";

pub(crate) const CLAIM_BY_NAME: &str = "\
select ids, attempts, more, expired, due,
  work_ids, names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts
from mq_claim_by_name($1, $2, $3, $4, $5, $6, $7::bigint * interval '1 microsecond', $8)";

pub(crate) const CLAIM_BY_CHANNEL: &str = "\
select ids, attempts, more, expired, due, after_channel,
  names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts
from mq_claim_by_channel($1, $2, $3, $4, $5, $6, $7, $8::bigint * interval '1 microsecond', $9)";

pub(crate) const PAYLOADS: &str = "\
select id, name, channel_name, channel_args, payload_json, payload_bytes, max_attempts from mq_payloads($1)";

pub(crate) const PRESENT: &str = "select array(select id from mq_payloads($1))";

pub(crate) const COMPLETE: &str = "select completed, xid::text from mq_complete($1, $2, $3, $4)";

pub(crate) const COMPLETE_AND_CLAIM: &str = "\
select completed, xid::text, next_ids, next_attempts, behind,
  work_ids, names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts
from mq_complete_and_claim($1, $2, $3, $4, $5, $6)";

pub(crate) const FAIL: &str = "select failed, dead from mq_fail($1, $2, $3, $4, $5)";

pub(crate) const FAIL_AS: &str = "select failed, dead from mq_fail_as($1, $2, $3, $4, $5, $6, $7, $8)";

pub(crate) const RELEASE: &str = "select mq_release($1, $2, $3, $4::bigint * interval '1 microsecond')";

pub(crate) const CHECKPOINT: &str = "\
select done, xid::text from mq_checkpoint($1, $2, $3, $4, $5, $6, $7::bigint * interval '1 microsecond')";

pub(crate) const KEEP_ALIVE: &str = "select mq_keep_alive($1, $2, $3, $4::bigint * interval '1 microsecond')";

pub(crate) const PROMOTE: &str = "\
select promoted, expired, (extract(epoch from next_in) * 1000000)::bigint from mq_promote($1)";

pub(crate) const RUNNERS_SEEN: &str = "select runner, beat, expired from mq_runners_seen()";

pub(crate) const REAP: &str = "select * from mq_reap($1, $2)";

pub(crate) const REAP_JOBS: &str = "select mq_reap_jobs()";

pub(crate) const REFRESH_COUNTS: &str = "select mq_refresh_counts()";

pub(crate) const SLEEP: &str = "select mq_sleep($1)";

pub(crate) const AWAKEN: &str = "select mq_awaken($1)";

pub(crate) const IN_FLIGHT: &str = "select mq_in_flight()";

pub(crate) const WAKE_CHANNEL: &str = "select mq_wake_channel()";

/// The keys of some texts, in their order.
pub(crate) const KEYS: &str = "\
select array(select mq_key(t.part) from unnest($1::text[]) with ordinality as t (part, place) order by t.place)";

/// Null: too long ago to know.
pub(crate) const XACT_STATUS: &str = "select pg_xact_status($1::text::xid8)";

/// Whether the functions a runner needs are there (in the search path).
pub(crate) const SCHEMA_IS_THERE: &str = "\
select to_regproc('mq_claim_by_name') is not null and to_regproc('mq_complete') is not null";

pub(crate) const IS_STANDBY: &str = "select pg_is_in_recovery()";

/// The life of a primary, in which a transaction id means one transaction. A failover to a standby that lacked the last commits
/// starts a new timeline. A crash does not, but it gives ids out again whose transactions had not reached the WAL; it resets
/// the statistics too, and says when.
pub(crate) const TIMELINE: &str = "\
select concat_ws(' ', left(pg_walfile_name(pg_current_wal_lsn()), 8), extract(epoch from b.stats_reset)::text)
from pg_stat_bgwriter as b";

/// By itself: a role's timeout may be so short that nothing else gets through before.
pub(crate) const STATEMENT_TIMEOUT: &str = "set statement_timeout = '5s'";

/// The server's own deadlines are shorter than ours, so that a statement we gave up is not still at work.
///
/// Functions of the queue refuse other isolation levels than READ COMMITTED; a role's default must not stop a runner.
pub(crate) const SESSION: &str = "\
set lock_timeout = '4s';
set idle_in_transaction_session_timeout = '6s';
set default_transaction_isolation = 'read committed';
set tcp_keepalives_idle = 5;
set tcp_keepalives_interval = 3;
set tcp_keepalives_count = 3";

/// Of who claims, and who fetches payloads. A claim that a crash of the database forgets leaves its jobs ready, as they were. The time
/// that payloads take on the network counts, over whichever of the two.
pub(crate) const CLAIM_SESSION: &str = "set synchronous_commit = off; set statement_timeout = '15s'";

/// For a statement that waits for the row of one job while the outcomes of others wait behind it.
pub(crate) const WAIT_BRIEFLY: &str = "set local lock_timeout = '50ms'";

pub(crate) const HEARTBEAT: &str = "select 1";
