-- Counts: how many jobs are where, cheap to ask for.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- By name, from its safe mark on, and what lies between two marked names: what was claimed before a mark lies there as long as xmin is
-- pinned.
create function mq_count_ready(
  out channel_name_key bigint, out name_key bigint, out channel_key bigint, out jobs bigint, out sample_at tid
) returns setof record
  language sql stable
  set search_path from current
  set work_mem = '64MB'
  set jit = off
  set enable_seqscan = off
  set enable_bitmapscan = off
as $$
  with marked as (
    select m.name_key, max(m.safe_tag) as safe_tag from mq_marks as m group by m.name_key
  ),
  ready as (
    select q.*
    from marked as m
    cross join lateral (
      select q.channel_name_key, q.name_key, q.channel_key, q.id, q.ids, q.ctid as at
      from mq_ready as q
      where q.name_key = m.name_key and q.tag >= m.safe_tag
      offset 0
    ) as q
    union all
    select q.*
    from (
      select lag(m.name_key) over names as after, m.name_key as before
      from (select m.name_key from marked as m union all select null) as m
      window names as (order by m.name_key nulls last)
    ) as gap
    cross join lateral (
      select q.channel_name_key, q.name_key, q.channel_key, q.id, q.ids, q.ctid as at
      from mq_ready as q
      where q.name_key > coalesce(gap.after, -9223372036854775808) and q.name_key < coalesce(gap.before, 9223372036854775807)
      offset 0
    ) as q
  )
  select r.channel_name_key, r.name_key, r.channel_key, sum(coalesce(cardinality(r.ids), 1))::bigint, max(r.at)
  from ready as r
  where r.id is not null or r.ids is not null
  group by r.channel_name_key, r.name_key, r.channel_key
$$;
comment on function mq_count_ready() is 'Counts the ready unordered jobs by their keys, and says where a row of each group is.';

-- Groups by key first and looks up the texts once per group: joining a million job rows would take seconds.
create function mq_count_now(
  out channel_name text, out channel_args text, out state text, out jobs bigint
) returns setof record
  language sql stable
  set search_path from current
  set work_mem = '64MB'
  set jit = off
  -- It is nobody's hurry: workers would take time from the queue.
  set max_parallel_workers_per_gather = 0
as $$
  -- By runner, from where it holds any: what it has completed before lies there as long as xmin is pinned.
  with running as (
    select own.id
    from mq_runners as i
    cross join lateral (
      select r.id from mq_running as r where r.runner = i.runner and r.claim >= i.first_claim offset 0
    ) as own
  ),
  grouped as (
    -- By address: to look for one of the group would be to walk over those of it that are gone.
    select 'ready' as state, g.jobs, (
      select coalesce(q.id, q.ids[1]) from mq_ready as q where q.ctid = g.sample_at
    ) as sample
    from mq_count_ready() as g
    union all
    select 'ready', g.jobs, (
      select l.id from mq_line as l where l.ctid = g.sample_at
    )
    from (
      select l.channel_key, count(*) as jobs, max(l.ctid) as sample_at
      from mq_line as l
      where not exists (select from running as r where r.id = l.id)
        and not exists (select from mq_scheduled as s where s.id = l.id)
        and not exists (select from mq_held as h where h.id = l.id)
      group by l.channel_key
    ) as g
  ),
  single as (
    select 'scheduled' as state, s.id from mq_scheduled as s
    union all
    select 'held', h.id from mq_held as h
    union all
    select 'dead', d.id from mq_dead as d
  ),
  -- Lateral with a limit: a probe per group, or per job that runs. A join would read every job there is, or was, for a few. But what
  -- waits for its time may be almost all there is.
  named as (
    select g.state, g.jobs, j.channel_name, j.channel_args
    from grouped as g
    cross join lateral (select j.channel_name, j.channel_args from mq_jobs as j where j.id = g.sample limit 1) as j
    union all
    select 'running', 1, j.channel_name, j.channel_args
    from running as r
    cross join lateral (select j.channel_name, j.channel_args from mq_jobs as j where j.id = r.id limit 1) as j
    union all
    select s.state, 1, j.channel_name, j.channel_args
    from single as s
    join mq_jobs as j on j.id = s.id
  )
  select n.channel_name, n.channel_args, n.state, sum(n.jobs)::bigint
  from named as n
  group by n.channel_name, n.channel_args, n.state
$$;
comment on function mq_count_now() is 'Counts every job. Takes about as long as reading the state tables does.';

create function mq_refresh_counts() returns void
  language plpgsql volatile
  set search_path from current
as $$
declare
  -- What is read to count, dead rows included: a few thousand live ones take milliseconds. Not a clock, which a busy machine
  -- holds up now and then.
  little constant bigint := 256 * 1024;
  as_of timestamptz;
  started_at timestamptz;
  is_needed boolean;
begin
  perform mq_require_read_committed();
  -- One runner counts for all, and not for more than a twentieth of the time: jobs that wait for theirs are read one by one, and what is
  -- gone as well while somebody holds the marks back.
  if not pg_try_advisory_xact_lock(mq_lock_base() + 128)
    or exists (
      select from mq_counts_age as a
      where a.counted_at > mq_now() - greatest(interval '4 seconds', least(a.took * 20, interval '50 seconds'))
    ) then
    return;
  end if;
  as_of := mq_now();
  started_at := clock_timestamp();
  with fresh as materialized (
    select * from mq_count_now()
  ),
  stored as (
    insert into mq_counts_cache as c (channel_name, channel_args, state, jobs)
    select f.channel_name, f.channel_args, f.state, f.jobs from fresh as f
    where not exists (
      select from mq_counts_cache as c
      where (c.channel_name, c.channel_args, c.state, c.jobs) = (f.channel_name, f.channel_args, f.state, f.jobs)
    )
    on conflict on constraint mq_counts_cache_pkey do update set jobs = excluded.jobs
    returning 1
  ),
  removed as (
    delete from mq_counts_cache as c
    where not exists (
      select from fresh as f
      where (f.channel_name, f.channel_args, f.state) = (c.channel_name, c.channel_args, c.state)
    )
    returning 1
  )
  select exists (select from stored) or exists (select from removed) or (
    pg_relation_size('mq_ready') + pg_relation_size('mq_line') + pg_relation_size('mq_scheduled')
      + pg_relation_size('mq_held') + pg_relation_size('mq_running') + pg_relation_size('mq_dead') > little
  )
  into is_needed;
  -- What is little to read and has not changed is not noted, so that an idle queue costs no transaction id: whoever asks counts it
  -- himself once the last note is old.
  if is_needed then
    update mq_counts_age set counted_at = as_of, took = clock_timestamp() - started_at;
  end if;
end $$;
comment on function mq_refresh_counts() is 'Counts the jobs for mq_counts(), unless another session has just done so, and notes it if there is much to read or anything changed. Runners call it every 5 seconds.';

create function mq_counts(
  out channel_name text, out channel_args text, out state text, out jobs bigint
) returns setof record
  language plpgsql stable
  set search_path from current
as $$
begin
  if exists (
    select from mq_counts_age as a
    where a.counted_at > mq_now() - interval '10 seconds' - least(a.took * 22, interval '55 seconds')
  ) then
    return query select c.channel_name, c.channel_args, c.state, c.jobs from mq_counts_cache as c;
  else
    -- No runner has counted lately, or there is little to read and nothing new.
    return query select n.channel_name, n.channel_args, n.state, n.jobs from mq_count_now() as n;
  end if;
end $$;
comment on function mq_counts() is
  'Jobs per channel and state (held, scheduled, ready, running, dead), at most 10 seconds old, or up to a minute if to count them takes more than a fifth of a second. In milliseconds while a runner runs; otherwise they are counted now.';
