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
  buried record;
  later record;
begin
  -- The fence is there: what is moved below are rows that this statement has inserted.
  select e.failed, e.dead into failed, dead
  from mq_end_attempts(mq_fail_as.runner, mq_fail_as.ids, claims, errors, false, not wait) as e;
  if cardinality(failed) = 0 then
    return;
  end if;

  with told as (
    delete from mq_scheduled as s
    where s.ctid = any (array(
      select own.at
      from unnest(mq_fail_as.ids, deadly) as t (id, is_deadly)
      cross join lateral (select s.ctid as at from mq_scheduled as s where s.id = t.id limit 1) as own
      where t.is_deadly and t.id = any (mq_fail_as.failed)
    ))
    returning s.id, s.attempts
  ),
  noted as (
    insert into mq_dead (id, died_at, attempts, number)
    select t.id, mq_now(), t.attempts, (select l.number from mq_line as l where l.id = t.id)
    from told as t
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
  with told as (
    delete from mq_scheduled as s
    where s.ctid = any (array(
      select own.at
      from unnest(mq_fail_as.ids, waits_us, linear) as t (id, wait_us, is_linear)
      cross join lateral (select s.ctid as at from mq_scheduled as s where s.id = t.id limit 1) as own
      where (t.wait_us is not null or t.is_linear) and t.id = any (mq_fail_as.failed)
    ))
    returning s.id, s.attempts, waits_us[array_position(mq_fail_as.ids, s.id)] as wait_us
  ),
  judged as materialized (
    select t.id, t.attempts,
      mq_now() + case
        when t.wait_us is not null then least(t.wait_us * interval '1 microsecond', interval '100 years')
        else mq_linear_backoff(coalesce(j.backoff, mq_usual_backoff()), coalesce(j.max_backoff, mq_usual_max_backoff()),
          t.attempts)
      end as due_at
    from told as t
    cross join lateral (select * from mq_jobs as j where j.id = t.id limit 1) as j
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
