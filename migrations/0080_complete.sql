-- Complete: the running row is the fence. Whoever deletes it has ended the attempt, and nobody else can.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- The running rows of these tokens, locked: the ones that were there. Joining the row would not be enough: a statement that
-- waited for another row could go on with a fence that is gone by then. Ids ascending, so that two never wait for each other.
--
-- Whoever calls deletes by address: nobody updates these rows, so a locked one stays where it is, and any join by token might
-- be planned from the wrong side, which for a large batch is its square.
create function mq_fence(runner uuid, ids uuid[], claims bigint[], wait boolean, out rows tid[], out held uuid[])
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
as $$
begin
  if wait then
    with fenced as materialized (
      select r.at, t.id
      from (
        select distinct ids[n] as id, claims[n] as claim from generate_subscripts(ids, 1) as n order by ids[n], claims[n]
      ) as t
      cross join lateral (
        select r.ctid as at from mq_running as r
        where r.runner = mq_fence.runner and r.claim = t.claim and r.id = t.id
        for update of r
      ) as r
    )
    select coalesce(array_agg(f.at), '{}'), coalesce(array_agg(f.id), '{}') into rows, held from fenced as f;
  else
    with fenced as materialized (
      select r.at, t.id
      from (
        select distinct ids[n] as id, claims[n] as claim from generate_subscripts(ids, 1) as n order by ids[n], claims[n]
      ) as t
      cross join lateral (
        select r.ctid as at from mq_running as r
        where r.runner = mq_fence.runner and r.claim = t.claim and r.id = t.id
        for update of r skip locked
      ) as r
    )
    select coalesce(array_agg(f.at), '{}'), coalesce(array_agg(f.id), '{}') into rows, held from fenced as f;
  end if;
end $$;
comment on function mq_fence(uuid, uuid[], bigint[], boolean) is
  'Locks the running rows of these tokens and returns those that exist. wait = false passes over rows that others have locked.';

-- The running rows of these tokens go, and with them the attempts: those that were there.
--
-- Its callers have made the settings that its plans need.
create function mq_end_running(runner uuid, ids uuid[], claims bigint[], wait boolean, out ended uuid[], out ordered uuid[])
  language plpgsql volatile
  set search_path from current
as $$
declare
  channel bigint;
  held record;
begin
  -- One job, by statements of few parts: to start a statement costs more than its work then.
  if cardinality(ids) = 1 then
    delete from mq_running as r
    where r.runner = mq_end_running.runner and r.claim = claims[1] and r.id = ids[1] and (wait or r.xmax = 0)
    returning r.channel_key into channel;
    if found then
      ended := ids;
      ordered := case when channel is not null then ids end;
      return;
    end if;
  end if;

  -- Mostly nobody else has locked any of them, and then deleting them is all the fence it takes (one that is locked between the
  -- look and the deletion is waited for). Not for who would wait for the others, with these in hand: they are taken in order.
  if not wait then
    with gone as (
      delete from mq_running as r
      where r.ctid = any (array(
        select token.at
        from generate_subscripts(ids, 1) as n
        cross join lateral (
          select t.ctid as at from mq_running as t
          where t.runner = mq_end_running.runner and t.claim = claims[n] and t.id = ids[n] and t.xmax = 0
          limit 1
        ) as token
      ))
      returning r.id, r.channel_key
    )
    select coalesce(array_agg(g.id), '{}'), array_agg(g.id) filter (where g.channel_key is not null)
    into ended, ordered
    from gone as g;
  end if;
  -- What is left is locked, or gone.
  if ended is null or cardinality(ended) < cardinality(ids) then
    held := mq_fence(mq_end_running.runner, ids, claims, wait);
    with gone as (
      delete from mq_running as r where r.ctid = any (held.rows) returning r.id, r.channel_key
    )
    select coalesce(ended, '{}') || coalesce(array_agg(g.id), '{}'), ordered || array_agg(g.id) filter (where g.channel_key is not null)
    into ended, ordered
    from gone as g;
  end if;
end $$;
comment on function mq_end_running(uuid, uuid[], bigint[], boolean) is
  'Ends attempts by their tokens: the jobs whose running rows were there, and the ordered ones of them (null: none).';

-- The next in line gets its turn. The turn is given always, even if nobody seems to wait: a spawn that is committed while this
-- transaction is open has lost its own turn to the job that ends here.
create function mq_give_next_turns(name_keys bigint[], channel_name_keys bigint[], channel_keys bigint[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  next record;
begin
  select array_agg(l.name_key) as name_keys, array_agg(l.channel_name_key) as channel_name_keys,
    array_agg(l.channel_key) as channel_keys
  into next
  -- Once for a channel: each look walks over what has just been taken out.
  from (select distinct c from unnest(channel_keys) as c) as c (channel_key)
  cross join lateral (
    select * from mq_line as l where l.channel_key = c.channel_key order by l.number limit 1
  ) as l;
  -- Under the name of the next, and under that of the job that ends: the next may be cancelled before its turn is written, and
  -- a turn that the cancellation gave may be used up while this job still seems to run. Mostly the names are the same, and
  -- then it is one turn.
  perform mq_give_turns(name_keys || next.name_keys, channel_name_keys || next.channel_name_keys, channel_keys || next.channel_keys);
end $$;
comment on function mq_give_next_turns(bigint[], bigint[], bigint[]) is
  'Gives the channels of ordered jobs that have left the line their turns, by the keys of these jobs.';

create function mq_leave_line(ids uuid[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  ended record;
begin
  with gone as (
    delete from mq_line as l where l.id = any (ids) returning l.name_key, l.channel_name_key, l.channel_key
  )
  select array_agg(g.name_key) as name_keys, array_agg(g.channel_name_key) as channel_name_keys,
    array_agg(g.channel_key) as channel_keys
  into ended
  from gone as g;
  if ended.channel_keys is not null then
    perform mq_give_next_turns(ended.name_keys, ended.channel_name_keys, ended.channel_keys);
  end if;
end $$;
comment on function mq_leave_line(uuid[]) is 'Takes ended jobs out of their lines and gives the channels a turn. Call it before the job rows go.';

-- Removes what a job was. Its state row must have been deleted by this transaction already.
create function mq_forget(ids uuid[]) returns uuid[]
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
  gone uuid[];
  lowest uuid;
  highest uuid;
  are_neighbours boolean;
  sees_now constant boolean := current_setting('transaction_isolation') in ('read committed', 'read uncommitted');
begin
  if cardinality(ids) = 0 then
    return ids;
  end if;
  -- One job, by statements of few parts.
  if cardinality(ids) = 1 and sees_now
    and not exists (select from mq_checkpoints as c where c.id = ids[1])
    and not exists (select from mq_leases as l where l.id = ids[1])
    and not exists (select from mq_errors as e where e.id = ids[1])
  then
    delete from mq_jobs as j where j.id = ids[1];
    if found then
      return ids;
    end if;
  end if;

  -- Jobs of the same minute are neighbours by their ids, and one look between them tells that none has left anything, as most have
  -- not. It would walk over what others left, and over dead rows of that, if the ids were far apart.
  lowest := (select i from unnest(ids) as i order by i limit 1);
  highest := (select i from unnest(ids) as i order by i desc limit 1);
  are_neighbours := cardinality(ids) > 8 and left(lowest::text, 8) = left(highest::text, 8);
  if sees_now then
    if not are_neighbours or exists (select from mq_checkpoints as c where c.id between lowest and highest) then
      delete from mq_checkpoints as c where c.id = any (ids);
    end if;
    if not are_neighbours or exists (select from mq_leases as l where l.id between lowest and highest) then
      delete from mq_leases as l where l.id = any (ids);
    end if;
  else
    -- One that was written since the snapshot would be missed, or fail the transaction. The errors are older than the state row.
    -- And the next in line may have been spawned since, and have had its turn while this job was there.
    insert into mq_leftovers (id, channel_key)
    select j.id, case when j.ordered then mq_key(j.channel_name, j.channel_args) end
    from mq_jobs as j
    where j.id = any (ids);
  end if;
  if not are_neighbours or exists (select from mq_errors as e where e.id between lowest and highest) then
    delete from mq_errors as e where e.id = any (ids);
  end if;
  with removed as (
    delete from mq_jobs as j where j.id = any (ids) returning j.id
  )
  select coalesce(array_agg(r.id), '{}') into gone from removed as r;
  if cardinality(gone) <> cardinality(ids) then
    raise exception 'a state row had no job row: % of %', cardinality(ids) - cardinality(gone), cardinality(ids)
      using errcode = 'data_corrupted', hint = 'This is a defect of the queue, or somebody wrote to its tables.';
  end if;
  return gone;
end $$;
comment on function mq_forget(uuid[]) is 'Deletes job rows whose state rows this transaction has deleted.';

create function mq_complete(runner uuid, ids uuid[], claims bigint[], wait boolean, out completed uuid[], out xid xid8)
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
  attempts record;
begin
  attempts := mq_end_running(mq_complete.runner, ids, claims, wait);
  if attempts.ordered is not null then
    perform mq_leave_line(attempts.ordered);
  end if;
  completed := mq_forget(attempts.ended);
  xid := pg_current_xact_id_if_assigned();
end $$;
comment on function mq_complete(uuid, uuid[], bigint[], boolean) is
  'Completes running jobs by their tokens, in the caller''s transaction. Returns those that were completed; the others'' leases are lost. xid: the transaction, so that pg_xact_status can tell its outcome if the answer to the commit is lost.';
