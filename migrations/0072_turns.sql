-- Turns: the right to look at the head of an ordered channel, and to start it.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Looks at the heads of ordered channels whose turns were picked, and starts those that may start.
create function mq_take_turns(
  runner uuid, claim bigint, name_keys bigint[], turns tid[], out ids uuid[], out attempts integer[], out taken integer,
  out passed_over boolean
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  channels bigint[];
  running bigint[];
  fronts record;
  heads uuid[];
  free uuid[];
  busy bigint[];
begin
  ids := '{}';
  attempts := '{}';
  taken := 0;
  passed_over := false;
  -- Two claimers may see different heads while a spawn commits. So only one looks at a channel at a time, and nobody waits:
  -- a turn whose channel is taken stays where it is.
  select array_agg(c.channel_key) into channels
  from (
    select distinct q.channel_key from mq_ready as q where q.ctid = any (turns)
  ) as c
  where pg_try_advisory_xact_lock(mq_lock_base() # c.channel_key);
  if channels is null then
    return;
  end if;

  -- A new statement, so that it sees everything committed before the channels were ours. Nobody else can start a job of them now.
  running := array(
    select r.channel_key
    from unnest(channels) as c (channel_key)
    cross join lateral (select r.channel_key from mq_running as r where r.channel_key = c.channel_key limit 1) as r
  );
  select array_agg(h.id) as ids, array_agg(h.channel_key) as channels, array_agg(h.is_known) as known, array_agg(h.is_due) as due
  into fronts
  from (
    select h.id, c.channel_key, name_keys is null or mq_key(j.name) = any (name_keys) as is_known,
      not exists (select from mq_scheduled as s where s.id = h.id)
        and not exists (select from mq_held as d where d.id = h.id) as is_due
    from unnest(channels) as c (channel_key)
    cross join lateral (
      select l.id from mq_line as l where l.channel_key = c.channel_key order by l.number limit 1
    ) as h
    join mq_jobs as j on j.id = h.id
    where not c.channel_key = any (running)
  ) as h;
  heads := array(
    select f.id from unnest(fronts.ids, fronts.known, fronts.due) as f (id, is_known, is_due) where f.is_known and f.is_due
  );

  with locked as materialized (
    select l.channel_key, l.number, l.id
    from mq_line as l
    where l.id = any (array(
      select f.id from unnest(fronts.ids, fronts.known, fronts.due) as f (id, is_known, is_due) where f.is_due or not f.is_known
    ))
    order by l.id
    for update skip locked
  ),
  -- Written, although nothing changes: a lock leaves no trace, and a cancellation with an older snapshot, which does not see the
  -- running row, would find the job still in line.
  marked as (
    update mq_line as l
    set attempts = l.attempts
    from locked as k
    where l.channel_key = k.channel_key and l.number = k.number and k.id = any (heads)
    returning l.id, l.channel_key, l.attempts
  ),
  started as (
    insert into mq_running (runner, claim, id, attempt, channel_key)
    select mq_take_turns.runner, mq_take_turns.claim, m.id, m.attempts + 1, m.channel_key
    from marked as m
    returning id, attempt
  )
  select coalesce(array_agg(s.id), '{}'), coalesce(array_agg(s.attempt), '{}'), array(select l.id from locked as l)
  into ids, attempts, free
  from started as s;

  -- A head that runs, is not yet due or is held needs no turn now: it gives the channel one when that ends. But if it is ending
  -- in a transaction that is open, that one has been given already, under the names that were seen then; and a cancellation may be
  -- rolled back. So a channel whose running row or head somebody else has locked keeps the turn. Whoever locks them after this
  -- has looked sees what it has seen.
  --
  -- Behind the next row, or claims would look at this turn and at nothing else for as long as that transaction is open. Not
  -- below its old tag, so no mark hides it.
  busy := array(
    select f.channel_key
    from unnest(fronts.ids, fronts.channels, fronts.known, fronts.due) as f (id, channel_key, is_known, is_due)
    where not f.id = any (free) and case
      when f.is_due or not f.is_known then true
      -- Nobody has locked it. To lock it here to see that would keep others waiting.
      when exists (select from mq_line as l where l.id = f.id and l.xmax = 0) then false
      else (select true from mq_line as l where l.id = f.id for key share skip locked) is null
    end
    union all
    select c.channel_key
    from unnest(running) as c (channel_key)
    where case
      when exists (select from mq_running as r where r.channel_key = c.channel_key and r.xmax = 0) then false
      else (select true from mq_running as r where r.channel_key = c.channel_key for key share skip locked) is null
    end
  );
  with used as (
    delete from mq_ready as q
    where q.ctid = any (turns) and q.channel_key = any (channels)
    returning q.name_key, q.tag, q.channel_name_key, q.channel_key
  ),
  again as materialized (
    select u.name_key, max(u.tag) as tag, u.channel_name_key, u.channel_key
    from used as u
    where u.channel_key = any (busy)
    group by u.name_key, u.channel_name_key, u.channel_key
  ),
  next as materialized (
    select u.name_key, u.channel_key, other.tag
    from again as u
    cross join lateral (
      select near.tag
      from (
        select q.tag, q.channel_key from mq_ready as q
        where q.name_key = u.name_key and q.tag >= u.tag
        order by q.name_key, q.tag, q.position limit 100
      ) as near
      where not near.channel_key = any (busy)
      order by near.tag limit 1
    ) as other
  ),
  kept as (
    insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, attempts, bytes)
    select u.name_key, coalesce(next.tag, u.tag), nextval('mq_position'), u.channel_name_key, u.channel_key, 0, 0
    from again as u
    left join next on next.name_key = u.name_key and next.channel_key = u.channel_key
  )
  select count(*) filter (where not u.channel_key = any (busy)), exists (select from next)
  into taken, passed_over
  from used as u;

  -- A head that this runner can't run gets a turn under its own name.
  if false = any (fronts.known) then
    perform mq_give_turns(array(
      select f.id
      from unnest(fronts.ids, fronts.known, fronts.due) as f (id, is_known, is_due)
      where not f.is_known and f.is_due and f.id = any (free)
    ));
  end if;
end $$;
comment on function mq_take_turns(uuid, bigint, bigint[], tid[]) is
  'Starts the heads of ordered channels whose turns this claim has locked. taken: turns used up, whether or not a head could start. passed_over: other rows are in front of turns that were kept.';

create function mq_give_turns(ids uuid[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
as $$
begin
  perform mq_make_ready(array_agg(l.id), array_agg(l.attempts)) from mq_line as l where l.id = any (ids);
end $$;
comment on function mq_give_turns(uuid[]) is 'Gives the channels of these ordered jobs a turn under the jobs'' names.';

-- The turn of a job with a lower number that was committed late has been used up while a later one ran, and is of another name,
-- perhaps, than the turn that one gives.
create function mq_give_heads_turns(channels bigint[], but_for uuid[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  perform mq_give_turns(array(
    select head.id
    from unnest(channels) as c (channel_key)
    cross join lateral (
      select l.id from mq_line as l where l.channel_key = c.channel_key order by l.number limit 1
    ) as head
    where not head.id = any (but_for)
  ));
end $$;
comment on function mq_give_heads_turns(bigint[], uuid[]) is
  'Gives these channels a turn under the names of their heads, unless a head is one of the jobs that have got theirs.';
