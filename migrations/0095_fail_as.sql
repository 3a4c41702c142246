-- Fail as told: attempts whose job, or its function's policy, says what comes after the failure.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_fail_as(
  runner uuid, ids uuid[], claims bigint[], errors text[], deadly boolean[], waits_us bigint[], linear boolean[], wait boolean,
  out failed uuid[], out dead uuid[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
as $$
declare
  ended record;
  told record;
  buried record;
  later record;
begin
  -- The fence is there: what is moved below are rows that this statement has inserted.
  ended := mq_end_attempts(mq_fail_as.runner, mq_fail_as.ids, claims, errors, false, not wait);
  failed := ended.failed;
  dead := ended.dead;
  if cardinality(failed) = 0 then
    return;
  end if;

  -- As told with the tokens that were there: an older one of the same job decides nothing.
  select array_agg(t.id) as ids, array_agg(t.is_deadly) as deadly, array_agg(t.wait_us) as waits_us, array_agg(t.is_linear) as linear
  into told
  from (
    select distinct on (f.id) f.id, t.is_deadly, t.wait_us, t.is_linear
    from unnest(ended.failed, ended.failed_claims) as f (id, claim)
    join unnest(mq_fail_as.ids, claims, deadly, waits_us, linear) with ordinality
      as t (id, claim, is_deadly, wait_us, is_linear, place) on t.id = f.id and t.claim = f.claim
    order by f.id, t.place
  ) as t;

  with gone as (
    delete from mq_scheduled as s
    where s.ctid = any (array(
      select own.at
      from generate_subscripts(told.ids, 1) as n
      cross join lateral (select s.ctid as at from mq_scheduled as s where s.id = told.ids[n] limit 1) as own
      where told.deadly[n]
    ))
    returning s.id, s.attempts
  ),
  noted as (
    insert into mq_dead (id, died_at, attempts, number)
    select g.id, mq_now(), g.attempts, (select l.number from mq_line as l where l.id = g.id)
    from gone as g
    returning id, number
  )
  select
    coalesce(array_agg(n.id), '{}') as ids,
    coalesce(array_agg(n.id) filter (where n.number is not null), '{}') as ordered
  into buried
  from noted as n;
  dead := dead || buried.ids;
  if cardinality(buried.ordered) > 0 then
    perform mq_leave_line(buried.ordered);
  end if;

  -- Moved and not updated: who is due soon gives a hint.
  with gone as (
    delete from mq_scheduled as s
    where s.ctid = any (array(
      select own.at
      from generate_subscripts(told.ids, 1) as n
      cross join lateral (select s.ctid as at from mq_scheduled as s where s.id = told.ids[n] limit 1) as own
      where told.waits_us[n] is not null or told.linear[n]
    ))
    returning s.id, s.attempts, told.waits_us[array_position(told.ids, s.id)] as wait_us
  ),
  judged as materialized (
    select g.id, g.attempts,
      mq_now() + case
        when g.wait_us is not null then least(g.wait_us * interval '1 microsecond', interval '100 years')
        else mq_linear_backoff(coalesce(j.backoff, mq_usual_backoff()), coalesce(j.max_backoff, mq_usual_max_backoff()),
          g.attempts)
      end as due_at
    from gone as g
    cross join lateral (select * from mq_jobs as j where j.id = g.id limit 1) as j
  )
  select
    array_agg(d.id order by d.due_at) as ids,
    array_agg(d.due_at order by d.due_at) as due,
    array_agg(d.attempts order by d.due_at) as attempts
  into later
  from judged as d;
  if later.ids is not null then
    perform mq_schedule(later.ids, later.due, later.attempts);
  end if;
end $$;
comment on function mq_fail_as(uuid, uuid[], bigint[], text[], boolean[], bigint[], boolean[], boolean) is
  'Fails running jobs by their tokens, as mq_fail does, each as told: dead at once (deadly), tried again after waits_us instead of its backoff, or with a backoff that grows by its first step (linear). Nulls: as mq_fail. A job without an attempt left is dead in any case.';

create function mq_linear_backoff(backoff interval, max_backoff interval, attempt integer) returns interval
  language sql volatile parallel safe
  return make_interval(secs => least(
    extract(epoch from backoff)::double precision * attempt,
    extract(epoch from greatest(max_backoff, backoff))::double precision
  ) * (1 + 0.1 * random()));
comment on function mq_linear_backoff(interval, interval, integer) is
  'How long a job of linear backoff waits after this attempt failed. Capped and up to a tenth longer, as mq_backoff.';
