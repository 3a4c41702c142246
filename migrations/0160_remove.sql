-- Remove: cancel and clear, in whatever state a job is.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_exists(id uuid) returns boolean
  language sql stable
  set search_path from current
as $$
  select exists (select from mq_jobs as j where j.id = mq_exists.id)
$$;
comment on function mq_exists(uuid) is 'Whether a job has been spawned and not ended yet (dead jobs exist).';

-- Ordered jobs that wait in line. A claim that has started one holds its line row, so a lock on it that is ours means that
-- nobody is starting it; but what we must not do is to hold it and wait for the running row, which a completion locks first.
create function mq_cancel_in_line(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  locked uuid[];
  waiting uuid[];
begin
  -- The block is a savepoint: leaving it by an error gives the locks back.
  begin
    select coalesce(array_agg(l.id), '{}') into locked
    from (
      select l.id from mq_line as l where l.id = any (ids) order by l.id for update skip locked
    ) as l;
    waiting := array(
      select i from unnest(locked) as i
      -- One look for each: `exists` might be made a join with all there is.
      where (
          select true from mq_line as l cross join lateral (
            select from mq_running as r where r.channel_key = l.channel_key and r.id = l.id limit 1
          ) as r
          where l.id = i limit 1
        ) is null
        and (select true from mq_scheduled as s where s.id = i limit 1) is null
        and (select true from mq_held as h where h.id = i limit 1) is null
    );
    if cardinality(waiting) < cardinality(locked) then
      raise exception 'some have moved' using errcode = 'MQ001';
    end if;
  exception when sqlstate 'MQ001' then
    -- Once more, only with those that wait.
    if cardinality(waiting) = 0 then
      return '{}';
    end if;
    return mq_cancel_in_line(waiting);
  end;
  return locked;
end $$;
comment on function mq_cancel_in_line(uuid[]) is 'Locks those of these ordered jobs that are ready, so that they can be removed.';

-- Where these jobs wait in runs, if they do. A job leaves its run and never comes back into one.
create function mq_runs_of(ids uuid[], out id uuid, out at tid, out lowest_id uuid) returns setof record
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_material = off
as $$
begin
  return query
    select j.id::uuid, run.at, run.lowest_id
    from mq_jobs as j
    cross join lateral (
      select q.ctid as at, q.lowest_id from mq_ready as q
      where q.name_key = mq_key(j.name) and q.tag = j.tag and q.position = j.position and j.id = any (q.ids)
      limit 1
    ) as run
    where j.id = any (mq_runs_of.ids) and j.position is not null;
end $$;
comment on function mq_runs_of(uuid[]) is 'The runs that these jobs wait in.';

-- Takes those of these jobs out of their runs that nobody else has locked.
create function mq_leave_runs(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  rows constant tid[] := array(select distinct r.at from mq_runs_of(ids) as r);
  gone uuid[];
begin
  if cardinality(rows) = 0 then
    return '{}';
  end if;
  with runs as materialized (
    select q.ctid as at, q.ids,
      array(select i from unnest(q.ids) with ordinality as r (i, nth) where not i = any (mq_leave_runs.ids) order by nth) as others
    from mq_ready as q
    -- It may have been shortened since, and be another row: then it is looked for again.
    where q.ctid = any (rows) and q.ids && mq_leave_runs.ids
    for update skip locked
  ),
  emptied as (
    delete from mq_ready as q where q.ctid = any (array(select r.at from runs as r where cardinality(r.others) = 0))
    returning q.ids
  ),
  shortened as (
    update mq_ready as q
    set ids = r.others, bytes = q.bytes::bigint * cardinality(r.others) / cardinality(r.ids)
    from runs as r
    where q.ctid = r.at and cardinality(r.others) > 0
    returning r.ids
  )
  -- By what was written: a row that was changed before it was locked may have been passed over.
  select array(
    select i
    from (select * from emptied union all select * from shortened) as w
    cross join unnest(w.ids) as i
    where i = any (mq_leave_runs.ids)
  ) into gone;
  return gone;
end $$;
comment on function mq_leave_runs(uuid[]) is 'Takes those of these jobs that wait in runs out of them, and waits for nobody.';

-- Deletes the state rows of those of these jobs that nobody else has locked, and waits for nobody.
create function mq_cancel_free(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  found_ids uuid[];
  taken uuid[] := mq_leave_runs(ids);
begin
  -- By address: a join by id may be planned from the wrong side, which reads a table and what is gone of it.
  with picked as materialized (
    select q.ctid as at from mq_ready as q where q.id = any (mq_cancel_free.ids) and q.id is not null for update skip locked
  ), gone as (
    delete from mq_ready as q where q.ctid = any (array(select p.at from picked as p)) returning q.id
  )
  select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
  taken := taken || found_ids;

  with picked as materialized (
    select s.ctid as at from mq_scheduled as s where s.id = any (ids) for update skip locked
  ), gone as (
    delete from mq_scheduled as s where s.ctid = any (array(select p.at from picked as p)) returning s.id
  )
  select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
  taken := taken || found_ids;

  with picked as materialized (
    select h.ctid as at from mq_held as h where h.id = any (ids) for update skip locked
  ), gone as (
    delete from mq_held as h where h.ctid = any (array(select p.at from picked as p)) returning h.id
  )
  select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
  taken := taken || found_ids;

  -- By runner, because running rows are kept in the order of their tokens.
  with picked as materialized (
    select own.at
    from mq_runners as i
    cross join lateral (
      select r.ctid as at from mq_running as r
      where r.runner = i.runner and r.claim >= i.first_claim and r.id = any (ids)
      offset 0
      for update skip locked
    ) as own
  ), gone as (
    delete from mq_running as r where r.ctid = any (array(select p.at from picked as p)) returning r.id
  )
  select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
  taken := taken || found_ids;

  with picked as materialized (
    select d.ctid as at from mq_dead as d where d.id = any (ids) for update skip locked
  ), gone as (
    delete from mq_dead as d where d.ctid = any (array(select p.at from picked as p)) returning d.id
  )
  select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
  taken := taken || found_ids;

  found_ids := mq_cancel_in_line(array(
    select j.id from mq_jobs as j where j.id = any (ids) and j.ordered and not j.id = any (taken)
  ));
  return taken || found_ids;
end $$;
comment on function mq_cancel_free(uuid[]) is 'Takes those of these jobs out of their states that nobody else has locked.';

-- Not a job in line: a claim that starts it has locked its line row, and a lock on that one must not be waited for.
create function mq_await_job(id uuid) returns boolean
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  perform from mq_ready as q
  where q.ctid = (select r.at from mq_runs_of(array[mq_await_job.id]) as r) and mq_await_job.id = any (q.ids)
  for update;
  if found then return true; end if;
  perform from mq_ready as q where q.id = mq_await_job.id for update;
  if found then return true; end if;
  perform from mq_scheduled as s where s.id = mq_await_job.id for update;
  if found then return true; end if;
  perform from mq_held as h where h.id = mq_await_job.id for update;
  if found then return true; end if;
  perform from mq_runners as i
  cross join lateral (
    select from mq_running as r
    where r.runner = i.runner and r.claim >= i.first_claim and r.id = mq_await_job.id
    offset 0
    for update
  ) as own;
  if found then return true; end if;
  perform from mq_dead as d where d.id = mq_await_job.id for update;
  return found;
end $$;
comment on function mq_await_job(uuid) is
  'Waits for whoever has locked the state row of a job and locks it. False: it has none, or it has moved meanwhile.';

create function mq_cancel(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  wanted uuid[] := array(select distinct i from unnest(ids) as i where i is not null);
  places uuid[];
  attempted uuid[];
  step uuid[];
  first_missing uuid;
  missing uuid;
  missed_before uuid;
  cancelled uuid[] := '{}';
  in_vain integer := 0;
begin
  -- A job may move while we look for it. So: look again, each time with fresh snapshots, until the state row is ours or the
  -- job is gone.
  while in_vain < 100 loop
    wanted := array(select j.id from mq_jobs as j where j.id = any (wanted) order by j.id);
    exit when cardinality(wanted) = 0;

    -- Whoever waits for a job holds none that comes after it, in whatever states they are: or two cancellations would wait for
    -- each other. So what was taken behind the first job that somebody else has is given back, by leaving the block with an error.
    -- They come in the order of their ids; those of a run are locked together, and come with its lowest.
    places := wanted;
    if cardinality(wanted) > 1 then
      places := array(
        select coalesce((array_agg(w.lowest_id) filter (where w.lowest_id is not null))[1], w.id)
        from (
          select i as id, null::uuid as lowest_id from unnest(wanted) as i
          union all
          select r.id, r.lowest_id from mq_runs_of(wanted) as r
        ) as w
        group by w.id
        order by w.id
      );
    end if;
    attempted := wanted;
    loop
      begin
        step := mq_cancel_free(attempted);
        first_missing := (
          select p from unnest(wanted, places) as w (i, p) where i = any (attempted) and not i = any (step) order by p limit 1
        );
        if exists (select from unnest(wanted, places) as w (i, p) where i = any (step) and p > first_missing) then
          raise exception 'some are behind one that is missing' using errcode = 'MQ002';
        end if;
        exit;
      exception when sqlstate 'MQ002' then
        attempted := array(select i from unnest(wanted, places) as w (i, p) where i = any (attempted) and p < first_missing order by i);
      end;
    end loop;
    if cardinality(step) > 0 then
      perform mq_leave_line(step);
      cancelled := cancelled || mq_forget(step);
    end if;

    missing := (select i from unnest(wanted, places) as w (i, p) where not i = any (step) order by p, i limit 1);
    exit when missing is null;
    if missing is distinct from missed_before then
      in_vain := 0;
      missed_before := missing;
    end if;
    continue when mq_await_job(missing);
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
      -- This snapshot will never see where it went.
      exit;
    end if;
    in_vain := in_vain + 1;
    if in_vain > 1 then
      perform pg_sleep(0.002);
    end if;
  end loop;
  wanted := array(select j.id from mq_jobs as j where j.id = any (wanted));
  if cardinality(wanted) > 0 then
    raise exception 'job % is being moved by another transaction', wanted[1]
      using errcode = 'serialization_failure', hint = 'Try the transaction again.';
  end if;
  return cancelled;
end $$;
comment on function mq_cancel(uuid[]) is
  'Removes jobs in whatever state they are and returns those that were there. A running job goes on without its lease: it can''t complete any more.';

create function mq_clear(channel_names text[]) returns bigint
  language plpgsql volatile
  set search_path from current
as $$
declare
  ids constant uuid[] := array(select j.id from mq_jobs as j where j.channel_name = any (channel_names) order by j.id);
  cleared bigint := 0;
  first integer;
begin
  for first in 1 .. cardinality(ids) by 1000 loop
    cleared := cleared + cardinality(mq_cancel(ids[first : first + 999]));
  end loop;
  return cleared;
end $$;
comment on function mq_clear(text[]) is 'Removes all jobs of these channel names, running and dead ones too. Returns how many.';

create function mq_clear_all() returns bigint
  language sql volatile
  set search_path from current
as $$
  select mq_clear(array(select distinct j.channel_name from mq_jobs as j))
$$;
comment on function mq_clear_all() is 'Removes all jobs, running and dead ones too. Returns how many.';
