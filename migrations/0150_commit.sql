-- Commit: the second phase of jobs that were spawned with a commit interval.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_commit(ids uuid[]) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  released record;
begin
  -- The deadline is compared under the row lock: expiry and commit both delete the row, so only one of them can.
  with picked as materialized (
    select h.ctid as at from mq_held as h where h.id = any (ids) order by h.id for update
  ),
  moved as (
    delete from mq_held as h
    where h.ctid = any (array(select p.at from picked as p)) and h.expires_at > clock_timestamp()
    returning h.id, h.due_at
  )
  select
    coalesce(array_agg(m.id), '{}') as ids,
    array_agg(m.id order by m.due_at, m.id) filter (where m.due_at > mq_now()) as later,
    array_agg(m.due_at order by m.due_at, m.id) filter (where m.due_at > mq_now()) as due
  into released
  from moved as m;
  if released.later is not null then
    perform mq_schedule(released.later, released.due, array_fill(0, array[cardinality(released.later)]));
  end if;
  perform mq_make_ready(r.ids, array_fill(0, array[cardinality(r.ids)]))
  from (
    select array(
      select i from unnest(ids) with ordinality as n (i, place)
      where i = any (released.ids) and not i = any (coalesce(released.later, '{}'))
      group by i order by min(place)
    ) as ids
  ) as r
  where cardinality(r.ids) > 0;
  return released.ids;
end $$;
comment on function mq_commit(uuid[]) is
  'Commits held jobs, in the order given. Returns those that were committed: the others had expired, or were never held.';
