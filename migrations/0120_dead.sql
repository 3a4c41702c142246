-- Dead jobs: visible, with their errors, until somebody decides.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_dead_jobs(
  max_jobs integer default 100,
  after_id uuid default null,
  out id uuid,
  out name text,
  out channel_name text,
  out channel_args text,
  out attempts integer,
  out died_at timestamptz,
  out last_error text
) returns setof record
  language sql stable
  set search_path from current
as $$
  select j.id, j.name, j.channel_name, j.channel_args, d.attempts, d.died_at,
    (select e.error from mq_errors as e where e.id = d.id order by e.place desc limit 1)
  from mq_dead as d
  join mq_jobs as j on j.id = d.id
  where after_id is null or d.id > after_id
  order by d.id
  limit max_jobs
$$;
comment on function mq_dead_jobs(integer, uuid) is 'Jobs out of attempts, by id; after_id is the last id of the page before.';

create function mq_job_errors(id uuid, out attempt integer, out failed_at timestamptz, out error text) returns setof record
  language sql stable
  set search_path from current
as $$
  select e.attempt, e.failed_at, e.error from mq_errors as e where e.id = mq_job_errors.id order by e.place
$$;
comment on function mq_job_errors(uuid) is 'The errors of a job''s failed attempts, oldest first: the last 20.';

create function mq_requeue(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  back uuid[];
begin
  with picked as materialized (
    select d.ctid as at from mq_dead as d where d.id = any (ids) order by d.id for update
  ),
  raised as (
    delete from mq_dead as d where d.ctid = any (array(select p.at from picked as p)) returning d.id, d.number
  ),
  -- An ordered job keeps its number: it is next in its channel.
  queued as (
    insert into mq_line (channel_key, number, id, name_key, channel_name_key, attempts)
    select mq_key(j.channel_name, j.channel_args), r.number, r.id, mq_key(j.name), mq_key(j.channel_name), 0
    from raised as r
    cross join lateral (select * from mq_jobs as j where j.id = r.id limit 1) as j
    where r.number is not null
  )
  select coalesce(array_agg(r.id order by r.id), '{}') into back from raised as r;
  if cardinality(back) > 0 then
    perform mq_make_ready(back, array_fill(0, array[cardinality(back)]));
  end if;
  return back;
end $$;
comment on function mq_requeue(uuid[]) is
  'Makes dead jobs ready again with all their attempts; their errors are kept. Returns those that were dead.';

create function mq_discard(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  gone uuid[];
begin
  with picked as materialized (
    select d.ctid as at from mq_dead as d where d.id = any (ids) order by d.id for update
  ),
  removed as (
    delete from mq_dead as d where d.ctid = any (array(select p.at from picked as p)) returning d.id
  )
  select coalesce(array_agg(r.id order by r.id), '{}') into gone from removed as r;
  return mq_forget(gone);
end $$;
comment on function mq_discard(uuid[]) is 'Removes dead jobs for good. Returns those that were dead.';
