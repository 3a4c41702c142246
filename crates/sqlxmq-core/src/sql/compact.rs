//! The statements that keep the tables small.

/// A table whose rows turn over in seconds, and how it is made small again.
#[derive(Debug)]
pub(crate) struct HotTable {
    pub(crate) name: &'static str,
    /// Makes the room of dead rows free for new ones. Passes over a table that another vacuum is in: to wait for autovacuum's would end
    /// it. In this process alone: workers would take time from the queue.
    pub(crate) vacuum: &'static str,
    /// Writes table and indexes anew, behind a lock that nobody passes: by way of an index, so that it reads the rows that are there and
    /// not the pages that they were scattered over.
    pub(crate) rewrite: &'static str,
}

macro_rules! hot_tables {
    ($($name:literal),*) => {
        &[$(HotTable {
            name: $name,
            vacuum: concat!("vacuum (skip_locked, parallel 0) ", $name),
            rewrite: concat!("cluster ", $name, " using ", $name, "_pkey"),
        }),*]
    };
}

/// Those that the migrations have autovacuum look after as such.
pub(crate) const HOT_TABLES: &[HotTable] = hot_tables![
    "mq_jobs",
    "mq_ready",
    "mq_scheduled",
    "mq_held",
    "mq_running",
    "mq_line",
    "mq_marks",
    "mq_runners",
    "mq_leases",
    "mq_leftovers",
    "mq_checkpoints",
    "mq_errors"
];

/// What these tables hold, by the statistics, and how big they are. Reads no table of the queue, and needs no right on any.
///
/// Whether this role may vacuum them: its owner, and from PostgreSQL 17 on who has `maintain`. Whoever can't call the function that
/// names the lock could not keep out of another's way.
pub(crate) const LOOK: &str = "\
select c.relname::text as name,
  case
    when current_setting('server_version_num')::integer >= 170000 then has_table_privilege(c.oid, 'maintain')
    else pg_has_role(c.relowner, 'usage')
  end and coalesce(has_function_privilege(to_regprocedure('mq_lock_base()'), 'execute'), false) as is_ours,
  coalesce(pg_stat_get_live_tuples(c.oid), 0) as live,
  coalesce(pg_stat_get_dead_tuples(c.oid), 0) as dead,
  coalesce(pg_stat_get_live_tuples(c.reltoastrelid), 0) as toast_live,
  coalesce(pg_stat_get_dead_tuples(c.reltoastrelid), 0) as toast_dead,
  pg_stat_get_vacuum_count(c.oid) + pg_stat_get_autovacuum_count(c.oid) as vacuums,
  pg_total_relation_size(c.oid) as bytes
from unnest($1::text[]) as hot (name)
join pg_class as c on c.oid = to_regclass(hot.name)";

/// One session at a time. It keeps the lock until it ends: a vacuum runs in no transaction that others could be part of.
pub(crate) const TRY_LOCK: &str = "select pg_try_advisory_lock(mq_lock_base() + 129)";

pub(crate) const PROCESS: &str = "select pg_backend_pid()";

/// A vacuum holds `SHARE UPDATE EXCLUSIVE`, and whoever waits for that waits until it is done.
pub(crate) const GIVE_WAY: &str = "\
select coalesce(bool_or(pg_cancel_backend($2)), false)
from (
  select
  from pg_locks as ours
  join pg_locks as waiting on waiting.locktype = 'relation' and waiting.database = ours.database and waiting.relation = ours.relation
  where ours.locktype = 'relation' and ours.relation = to_regclass($1) and ours.pid = $2 and ours.granted
    and ours.database = (select d.oid from pg_database as d where d.datname = current_database())
    and not waiting.granted
  limit 1
) as waited_for";

/// What a vacuum passes over is told by the statistics, not by warnings. Each pass over the dead rows of a table is one over its indexes,
/// so with room for some forty million in one. A vacuum that goes round in a few buffers waits for the WAL at each turn; from PostgreSQL
/// 16 on it can have more. And when its runner is gone nobody looks after it any more: then it ends, where the server's platform can
/// notice.
pub(crate) const SESSION: &str =
    "set client_min_messages = error; set statement_timeout = '60s';
do $$ begin
  perform set_config('client_connection_check_interval', '1s', false);
exception when others then
  null;
end $$;
select set_config('maintenance_work_mem', '256MB', false) where pg_size_bytes(current_setting('maintenance_work_mem')) < 268435456;
select set_config('vacuum_buffer_usage_limit', '128MB', false) where current_setting('vacuum_buffer_usage_limit', true) is not null;
set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 3; set tcp_keepalives_count = 3";

/// Whoever waits for the lock of a rewrite makes everybody wait who comes after him, so not for long. The queue stands still during the
/// rewrite, for less than a runner's statements wait for a lock.
/// By way of the index, whatever the planner expects of it: it may not know yet how little is left in the table.
pub(crate) const BEFORE_REWRITE: &str =
    "set lock_timeout = '100ms'; set statement_timeout = '2500ms'; set seq_page_cost = 1000000";

pub(crate) const AFTER_REWRITE: &str =
    "set lock_timeout = 0; set statement_timeout = '60s'; reset seq_page_cost";

/// The oldest transaction id that dead rows may have to be kept for: by whom PostgreSQL asks for its own vacuums, which other vacuums and lost
/// slots are not among.
pub(crate) const HORIZON: &str = "\
select pinned.by::text::bigint
from (
  select ids.by
  from pg_stat_activity as a
  cross join lateral (values (a.backend_xmin), (a.backend_xid)) as ids (by)
  where (a.datname = current_database() or a.datname is null) and a.pid <> pg_backend_pid()
    and not exists (select from pg_stat_progress_vacuum as v where v.pid = a.pid)
  union all
  select p.transaction from pg_prepared_xacts as p where p.database = current_database()
  union all
  select s.xmin from pg_replication_slots as s where s.wal_status is distinct from 'lost'
) as pinned
where pinned.by is not null
order by age(pinned.by) desc
limit 1";
