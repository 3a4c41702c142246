-- Fail and release: attempts that end without completing the job.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Doubling, capped, and up to a tenth later, so that jobs that failed together do not come back together. Never earlier. A cap
-- below the first backoff would cut what was asked for, so it does not apply to that.
create function mq_backoff(backoff interval, max_backoff interval, attempt integer) returns interval
  language sql volatile parallel safe
  return make_interval(secs => least(
    extract(epoch from backoff)::double precision * power(2, least(attempt - 1, 62)),
    extract(epoch from greatest(max_backoff, backoff))::double precision
  ) * (1 + 0.1 * random()));
comment on function mq_backoff(interval, interval, integer) is 'How long a job waits after this attempt failed.';

create function mq_end_attempts(
  runner uuid, ids uuid[], claims bigint[], errors text[], at_once boolean, skip_locked boolean,
  out failed uuid[], out dead uuid[], out failed_claims bigint[]
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
  held record;
  later record;
  failing_at timestamptz;
begin
  failed := '{}';
  dead := '{}';
  held := mq_fence(mq_end_attempts.runner, ids, claims, not skip_locked);
  if cardinality(held.held) = 0 then
    return;
  end if;
  failing_at := mq_now();

  with ended as (
    delete from mq_running as r where r.ctid = any (held.rows) returning r.id, r.claim, r.attempt, r.channel_key
  ),
  noted as (
    insert into mq_errors (id, attempt, failed_at, error)
    select e.id, e.attempt, failing_at, mq_clip(t.error)
    from ended as e
    -- One error for an attempt, whoever names its token twice, or an older token of the same job.
    join (
      select distinct on (u.id, u.claim) u.id, u.claim, u.error
      from unnest(ids, claims, errors) with ordinality as u (id, claim, error, place)
      order by u.id, u.claim, u.place
    ) as t on t.id = e.id and t.claim = e.claim
  ),
  judged as materialized (
    select e.id, e.claim, e.attempt, e.channel_key, j.ordered,
      e.attempt >= j.max_attempts + coalesce(c.extra_attempts, 0) as is_dead,
      failing_at + mq_backoff(coalesce(j.backoff, mq_usual_backoff()), coalesce(j.max_backoff, mq_usual_max_backoff()), e.attempt) as due_at
    from ended as e
    -- One look for each, here and in other places: a join may be planned from the wrong side while there are no other jobs.
    cross join lateral (select * from mq_jobs as j where j.id = e.id limit 1) as j
    left join lateral (
      select * from mq_checkpoints as c where c.id = e.id and c.spawned_at = j.spawned_at limit 1
    ) as c on true
  ),
  buried as (
    insert into mq_dead (id, died_at, attempts, number)
    select d.id, failing_at, d.attempt, (select l.number from mq_line as l where l.id = d.id)
    from judged as d
    where d.is_dead
    returning id
  )
  select
    array_agg(d.id order by d.id) as failed, array_agg(d.claim order by d.id) as claims,
    coalesce(array_agg(d.id) filter (where d.is_dead), '{}') as dead,
    coalesce(array_agg(d.id) filter (where d.is_dead and d.ordered), '{}') as dead_ordered,
    coalesce(array_agg(d.id order by d.due_at) filter (where not d.is_dead), '{}') as ids,
    coalesce(array_agg(d.due_at order by d.due_at) filter (where not d.is_dead), '{}') as due,
    coalesce(array_agg(d.attempt order by d.due_at) filter (where not d.is_dead), '{}') as attempts,
    array_agg(d.channel_key) filter (where not d.is_dead and d.channel_key is not null) as channels
  into later
  from judged as d
  left join buried as b on b.id = d.id;

  delete from mq_leases as l where l.id = any (held.held);
  -- The errors of a job are looked at by people: the last 20 tell what is wrong.
  delete from mq_errors as e
  where e.id = any (held.held)
    and e.place < (
      select k.place from mq_errors as k where k.id = e.id order by k.place desc offset 19 limit 1
    );

  failed := coalesce(later.failed, '{}');
  failed_claims := later.claims;
  dead := later.dead;
  if cardinality(later.dead_ordered) > 0 then
    perform mq_leave_line(later.dead_ordered);
  end if;
  if cardinality(later.ids) > 0 then
    if at_once then
      perform mq_make_ready(later.ids, later.attempts);
    else
      perform mq_schedule(later.ids, later.due, later.attempts);
    end if;
  end if;
  if later.channels is not null then
    perform mq_give_heads_turns(later.channels, later.ids);
  end if;
end $$;
comment on function mq_end_attempts(uuid, uuid[], bigint[], text[], boolean, boolean) is
  'Ends the attempts of running jobs with an error each: back off (or, at once, ready again), or dead if no attempt is left. failed, failed_claims: the tokens of those that were there.';

-- At most 8 KiB, cut between characters.
create function mq_clip(error text) returns text
  language sql immutable parallel safe
  return case
    when error is null then ''
    when octet_length(error) <= 8192 then error
    else left(error, 2040) || ' … ' || right(error, 4)
  end;
comment on function mq_clip(text) is 'An error text short enough to keep.';

create function mq_fail(
  runner uuid, ids uuid[], claims bigint[], errors text[], wait boolean, out failed uuid[], out dead uuid[]
)
  language sql volatile
  set search_path from current
as $$
  select e.failed, e.dead
  from mq_end_attempts(mq_fail.runner, mq_fail.ids, mq_fail.claims, mq_fail.errors, false, not mq_fail.wait) as e
$$;
comment on function mq_fail(uuid, uuid[], bigint[], text[], boolean) is
  'Fails running jobs by their tokens. failed: those whose attempt ended here, of which dead have none left.';

create function mq_release(runner uuid, ids uuid[], claims bigint[], delay interval) returns uuid[]
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
  held record;
  given record;
begin
  held := mq_fence(mq_release.runner, ids, claims, false);
  if cardinality(held.held) = 0 then
    return '{}';
  end if;
  with ended as (
    delete from mq_running as r where r.ctid = any (held.rows) returning r.id, r.claim, r.attempt - 1 as attempts, r.channel_key
  )
  select array_agg(e.id order by e.claim, e.id) as ids, array_agg(e.attempts order by e.claim, e.id) as attempts,
    array_agg(e.channel_key) filter (where e.channel_key is not null) as channels
  into given
  from ended as e;
  delete from mq_leases as l where l.id = any (given.ids);
  if delay > interval '0' then
    perform mq_schedule(given.ids, array_fill(mq_now() + delay, array[cardinality(given.ids)]), given.attempts);
  else
    perform mq_make_ready(given.ids, given.attempts);
  end if;
  if given.channels is not null then
    perform mq_give_heads_turns(given.channels, given.ids);
  end if;
  return given.ids;
end $$;
comment on function mq_release(uuid, uuid[], bigint[], interval) is
  'Gives running jobs back by their tokens, no attempt used. Rows that others have locked are passed over.';
