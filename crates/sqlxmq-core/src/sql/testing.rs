//! The statements of the testing kit. What it installs in a test's database is in `src/testing/*.sql`.

pub(crate) const RUNNERS: &str = "select count(*) from mq_runners";

pub(crate) const ADVANCE: &str =
    "select setval('mq_testing_clock', c.last_value + $1) from mq_testing_clock as c";

pub(crate) const NEXT_DUE: &str = "\
select ceil(extract(epoch from min(s.due_at) - mq_now()) * 1000000)::bigint from mq_scheduled as s";

/// Whether there is still such a job, whether it is dead, when it is due again, and what its attempt left.
pub(crate) const WHAT_BECAME: &str = "\
select exists (select from mq_jobs as j where j.id = $1),
  exists (select from mq_dead as d where d.id = $1),
  (select (extract(epoch from s.due_at - mq_now()) * 1000000)::bigint from mq_scheduled as s where s.id = $1),
  (select e.error from mq_errors as e where e.id = $1 and e.attempt = $2 order by e.place desc limit 1)";

pub(crate) const SPAWNED: &str = "\
select j.id, j.name, j.channel_name, j.channel_args, j.payload_json, j.payload_bytes
from mq_jobs as j
order by j.spawned_at, j.id";

/// By the clock of the server: leases have no other.
pub(crate) const EXPIRE_LEASES: &str = "update mq_runners set expires_at = '-infinity'";

pub(crate) const REAP_ALL: &str = "\
select coalesce(sum(reaped.jobs_reaped), 0)::bigint
from (select array_agg(r.runner) as runners, array_agg(r.beat) as beats from mq_runners as r) as seen
cross join lateral mq_reap(seen.runners, seen.beats) as reaped";

pub(crate) const FAIL_NEXT_COMPLETE: &str = "select setval('mq_testing_failures', 1)";
