-- Runners: one lease for all the jobs a runner's incarnation holds.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_register(runner uuid, lease interval, description text) returns void
  language sql volatile
  set search_path from current
as $$
  insert into mq_runners (runner, beat, first_claim, expires_at, registered_at, description)
  values (mq_register.runner, 0, 0, mq_now() + lease, mq_now(), left(mq_register.description, 200))
$$;
comment on function mq_register(uuid, interval, text) is
  'Starts a lease for a new incarnation of a runner, a random uuid. It must be committed durably before the first claim.';

-- The comparison is evaluated under the row lock, so a renewal that waited for the reaper finds no row, and one that was sent
-- long ago and arrives after the lease does not bring it back.
create function mq_renew(runner uuid, lease interval) returns boolean
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  update mq_runners as r
  set beat = r.beat + 1, expires_at = mq_now() + lease
  where r.runner = mq_renew.runner and r.expires_at > clock_timestamp();
  return found;
end $$;
comment on function mq_renew(uuid, interval) is
  'Renews a lease that is not over. False: it is, and that incarnation has ended for good.';

-- The incarnation's lease, locked against the reaper and the audit until the caller's transaction ends. Both are checked after
-- the lock: the deadline, and that no audit has left behind a claim that was given up by its runner and arrives only now.
--
-- Who has running jobs in hand does not wait: for an audit, say, that reads much.
create function mq_hold_lease(runner uuid, claim bigint, wait boolean default true) returns boolean
  language plpgsql volatile
  set search_path from current
as $$
declare
  expires timestamptz;
  first bigint;
begin
  if wait then
    select r.expires_at, r.first_claim into expires, first
    from mq_runners as r
    where r.runner = mq_hold_lease.runner
    for key share;
  else
    select r.expires_at, r.first_claim into expires, first
    from mq_runners as r
    where r.runner = mq_hold_lease.runner
    for key share skip locked;
  end if;
  return found and expires > clock_timestamp() and mq_hold_lease.claim >= first;
end $$;
comment on function mq_hold_lease(uuid, bigint, boolean) is
  'Keeps the reaper away from this incarnation until the transaction ends. False: its lease is over, or the claim is too old; or, without waiting, somebody is at it.';

-- A busy runner has a claim at work mostly whenever somebody looks. They are short, and there are moments between them. To wait for the lock
-- would be to wait for one after the other, without end; and a claim that hangs is not to keep the renewals waiting.
create function mq_await_claims(runner uuid, next_first bigint) returns boolean
  language plpgsql volatile
  set search_path from current
as $$
declare
  give_up_at constant timestamptz := clock_timestamp() + interval '100 milliseconds';
begin
  loop
    perform from mq_runners as i
    where i.runner = mq_await_claims.runner and i.first_claim < mq_await_claims.next_first
    for update skip locked;
    if found or clock_timestamp() > give_up_at then
      return found;
    end if;
    perform pg_sleep(0.001);
  end loop;
end $$;
comment on function mq_await_claims(uuid, bigint) is
  'Locks a runner whose first claim is before this one, in a moment in which no claim of it is at work. False: there was none.';

-- A claim whose answer was lost, or a completion that was rolled back, leaves a running row that nobody works on and that
-- the runner's lease would keep for as long as the process lives.
create function mq_audit(runner uuid, ids uuid[], claims bigint[], before_claim bigint, out lost uuid[], out failed uuid[])
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  search_from bigint;
  strays uuid[];
  stray_claims bigint[];
  next_first bigint := least(before_claim, coalesce((select min(c) from unnest(claims) as c), before_claim));
  may_leave_behind boolean;
begin
  perform mq_require_read_committed();

  -- What is searched below is left behind only if no claim is at work: one that the runner has given up may still commit. Locked
  -- before the search, so that a claim that was at work a moment ago is found by it.
  perform from mq_runners as i
  where i.runner = mq_audit.runner and i.first_claim < next_first
  for update skip locked;
  may_leave_behind := found;
  -- Else the search goes over everything since the last time that none was at work, and while xmin is pinned over all that is gone since.
  if not may_leave_behind then
    may_leave_behind := exists (
      select from mq_runners as i where i.runner = mq_audit.runner and i.first_claim < next_first - 100000
    ) and mq_await_claims(mq_audit.runner, next_first);
  end if;

  select coalesce(array_agg(h.id), '{}') into lost
  from unnest(ids, claims) as h (id, claim)
  -- One look each: any join might read all that the runner has ever claimed, as far as it is not vacuumed.
  where (
    select true from mq_running as r where r.runner = mq_audit.runner and r.claim = h.claim and r.id = h.id limit 1
  ) is null;

  select i.first_claim into search_from from mq_runners as i where i.runner = mq_audit.runner;
  select array_agg(s.id), array_agg(s.claim) into strays, stray_claims
  from (
    select r.id, r.claim from mq_running as r
    where r.runner = mq_audit.runner and r.claim >= search_from and r.claim < before_claim
    except
    select h.id, h.claim from unnest(ids, claims) as h (id, claim)
  ) as s;
  failed := '{}';
  if strays is not null then
    select f.failed into failed
    from mq_end_attempts(mq_audit.runner, strays, stray_claims,
      array_fill('lost by its runner: the answer to a claim or the outcome did not arrive'::text, array[cardinality(strays)]),
      false, true) as f;
  end if;

  if may_leave_behind and failed @> coalesce(strays, '{}') then
    update mq_runners as i set first_claim = next_first where i.runner = mq_audit.runner;
  end if;
end $$;
comment on function mq_audit(uuid, uuid[], bigint[], bigint) is
  'Compares what a runner holds with its running jobs. Jobs older than before_claim that it does not hold are failed; jobs it holds without a row come back as lost.';

create function mq_unregister(runner uuid) returns bigint
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  search_from bigint;
  ids uuid[];
  claims bigint[];
begin
  perform mq_require_read_committed();
  select i.first_claim into search_from from mq_runners as i where i.runner = mq_unregister.runner for update;
  if not found then
    return 0;
  end if;
  select coalesce(array_agg(r.id), '{}'), coalesce(array_agg(r.claim), '{}') into ids, claims
  from mq_running as r
  where r.runner = mq_unregister.runner and r.claim >= search_from;
  ids := mq_release(mq_unregister.runner, ids, claims, interval '0');
  -- A row that was locked (a completion on its way) is left to the reaper, and the runner's row with it.
  delete from mq_runners as i
  where i.runner = mq_unregister.runner
    and not exists (select from mq_running as r where r.runner = i.runner and r.claim >= search_from);
  return cardinality(ids);
end $$;
comment on function mq_unregister(uuid) is 'Ends an incarnation cleanly: gives back the jobs it still holds, no attempt used. Returns how many.';

create function mq_runners_seen(out runner uuid, out beat bigint, out expired boolean) returns setof record
  language sql volatile
  set search_path from current
as $$
  select r.runner, r.beat, r.expires_at <= mq_now() from mq_runners as r
$$;
comment on function mq_runners_seen() is 'The heartbeat of each runner, for the reaper''s own observation.';

-- The clock alone could be wrong: after an outage or a failover everybody's lease is over at once, and the first runner back
-- would reap all others. So the caller has watched each of these beats stand still for a while.
create function mq_reap(runners uuid[], beats bigint[], out runners_reaped integer, out jobs_reaped integer)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  dead_runner uuid;
  search_from bigint;
  ids uuid[];
  claims bigint[];
begin
  perform mq_require_read_committed();
  runners_reaped := 0;
  jobs_reaped := 0;
  for dead_runner in
    select i.runner
    from unnest(runners, beats) as s (runner, beat)
    join mq_runners as i on i.runner = s.runner and i.beat = s.beat
    order by i.runner
  loop
    select i.first_claim into search_from
    from mq_runners as i
    where i.runner = dead_runner
      and i.expires_at <= clock_timestamp()
      and i.beat = (select s.beat from unnest(runners, beats) as s (runner, beat) where s.runner = dead_runner limit 1)
    for update skip locked;
    continue when not found;
    -- A new statement: claims committed before the lock was ours are visible now, and none can follow.
    select coalesce(array_agg(r.id), '{}'), coalesce(array_agg(r.claim), '{}') into ids, claims
    from mq_running as r
    where r.runner = dead_runner and r.claim >= search_from;
    select f.failed into ids
    from mq_end_attempts(dead_runner, ids, claims,
      array_fill('lease over: the runner stopped without giving the job back'::text, array[cardinality(ids)]), true, true) as f;
    jobs_reaped := jobs_reaped + cardinality(ids);
    -- A row that somebody else has locked, completing it, is looked at again.
    delete from mq_runners as i
    where i.runner = dead_runner
      and not exists (select from mq_running as r where r.runner = i.runner and r.claim >= search_from);
    if found then
      runners_reaped := runners_reaped + 1;
    end if;
  end loop;
end $$;
comment on function mq_reap(uuid[], bigint[]) is
  'Ends the attempts of runners that are still expired at these beats. Their jobs are ready again at once, or dead.';

create function mq_reap_jobs() returns integer
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  stale record;
  ended uuid[];
  reaped integer := 0;
begin
  perform mq_require_read_committed();
  for stale in
    select l.runner, array_agg(l.id) as ids, array_agg(l.claim) as claims
    from (
      select l.id, l.runner, l.claim
      from mq_leases as l
      where l.expires_at <= (select mq_now())
      order by l.expires_at
      limit 1000
      for update skip locked
    ) as l
    group by l.runner
  loop
    select f.failed into ended
    from mq_end_attempts(stale.runner, stale.ids, stale.claims,
      array_fill('lease over: the job outlived the lease of its own'::text, array[cardinality(stale.ids)]), true, true) as f;
    reaped := reaped + cardinality(ended);
  end loop;
  return reaped;
end $$;
comment on function mq_reap_jobs() is 'Ends the attempts of jobs whose own lease is over. Returns how many.';
