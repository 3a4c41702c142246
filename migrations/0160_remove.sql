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
      where not exists (select from mq_line as l join mq_running as r on r.channel_key = l.channel_key and r.id = l.id where l.id = i)
        and not exists (select from mq_scheduled as s where s.id = i)
        and not exists (select from mq_held as h where h.id = i)
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

create function mq_cancel(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  wanted uuid[] := array(select distinct i from unnest(ids) as i where i is not null);
  step uuid[];
  found_ids uuid[];
  cancelled uuid[] := '{}';
  round integer;
begin
  -- A job may move while we look for it. So: one statement per state, each with a fresh snapshot, until the state row is
  -- ours or the job is gone.
  for round in 1 .. 100 loop
    wanted := array(select j.id from mq_jobs as j where j.id = any (wanted));
    exit when cardinality(wanted) = 0;
    step := '{}';

    with picked as materialized (
      select q.ctid as at from mq_ready as q where q.id = any (wanted) and q.id is not null order by q.id for update
    ), gone as (
      delete from mq_ready as q using picked as p where q.ctid = p.at returning q.id
    )
    select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
    step := step || found_ids;

    with picked as materialized (
      select s.id from mq_scheduled as s where s.id = any (wanted) order by s.id for update
    ), gone as (
      delete from mq_scheduled as s using picked as p where s.id = p.id returning s.id
    )
    select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
    step := step || found_ids;

    with picked as materialized (
      select h.id from mq_held as h where h.id = any (wanted) order by h.id for update
    ), gone as (
      delete from mq_held as h using picked as p where h.id = p.id returning h.id
    )
    select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
    step := step || found_ids;

    -- By runner, because running rows are kept in the order of their tokens.
    with picked as materialized (
      select r.runner, r.claim, r.id
      from mq_runners as i
      join mq_running as r on r.runner = i.runner and r.claim >= i.first_claim
      where r.id = any (wanted)
      order by r.id
      for update of r
    ), gone as (
      delete from mq_running as r using picked as p
      where r.runner = p.runner and r.claim = p.claim and r.id = p.id
      returning r.id
    )
    select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
    step := step || found_ids;

    with picked as materialized (
      select d.id from mq_dead as d where d.id = any (wanted) order by d.id for update
    ), gone as (
      delete from mq_dead as d using picked as p where d.id = p.id returning d.id
    )
    select coalesce(array_agg(g.id), '{}') into found_ids from gone as g;
    step := step || found_ids;

    found_ids := mq_cancel_in_line(array(
      select j.id from mq_jobs as j where j.id = any (wanted) and j.ordered and not j.id = any (step)
    ));
    step := step || found_ids;

    if cardinality(step) > 0 then
      perform mq_leave_line(step);
      cancelled := cancelled || mq_forget(step);
    elsif current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
      -- This snapshot will never see where they went.
      exit;
    elsif round > 1 then
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
  for first in 1 .. cardinality(ids) by 10000 loop
    cleared := cleared + cardinality(mq_cancel(ids[first : first + 9999]));
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
