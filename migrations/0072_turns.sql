-- Turns: the right to look at the head of an ordered channel, and to start it.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Nobody is waited for: a head that somebody has locked is left alone. By address, and by id too, since the place of a row that has
-- gone may be another's: what is found there is what its caller has seen.
create function mq_start_heads(
  runner uuid, claim bigint, heads tid[], head_ids uuid[], starting boolean[], out started integer[], out free integer[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  with locked as materialized (
    select n, own.at
    from generate_subscripts(heads, 1) as n
    cross join lateral (
      select l.ctid as at from mq_line as l
      where l.ctid = heads[n] and l.id = head_ids[n] and starting[n] is not null
      for update skip locked
    ) as own
  ),
  -- Written, although nothing changes: a lock leaves no trace, and a cancellation with an older snapshot, which does not see the
  -- running row, would find the job still in line.
  marked as (
    update mq_line as l
    set attempts = l.attempts
    where l.ctid = any (array(select k.at from locked as k where starting[k.n]))
    returning l.id, l.channel_key, l.attempts
  ),
  inserted as (
    insert into mq_running (runner, claim, id, attempt, channel_key)
    select mq_start_heads.runner, mq_start_heads.claim, m.id, m.attempts + 1, m.channel_key
    from marked as m
  )
  select array(select k.n from locked as k where starting[k.n]), array(select k.n from locked as k)
  into started, free;
end $$;
comment on function mq_start_heads(uuid, bigint, tid[], uuid[], boolean[]) is
  'Starts the heads of ordered channels of which nothing runs, and nothing can be started by others. starting: false means only to lock it, null to leave it alone. started, free: the subscripts of those that could be started, and locked.';

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
  all_ours boolean;
  running bigint[];
  -- Of each channel that nothing runs of, ids ascending.
  fronts uuid[];
  front_channels bigint[];
  places tid[];
  used integer[];
  known boolean[];
  due boolean[];
  starts record;
  busy bigint[] := '{}';
begin
  ids := '{}';
  attempts := '{}';
  taken := 0;
  passed_over := false;
  -- Two claimers may see different heads while a spawn commits. So only one looks at a channel at a time, and nobody waits:
  -- a turn whose channel is taken stays where it is.
  select array_agg(c.channel_key) filter (where c.is_ours), bool_and(c.is_ours) into channels, all_ours
  from (
    select t.channel_key, pg_try_advisory_xact_lock(mq_lock_base() # t.channel_key) as is_ours
    from (select distinct q.channel_key from mq_ready as q where q.ctid = any (turns)) as t
    offset 0
  ) as c;
  if channels is null then
    return;
  end if;

  -- Other turns of these channels would look at what this one looks at. Some, so that a claim stays short.
  turns := turns || array(
    select other.at
    from (
      select q.channel_name_key, q.name_key, q.channel_key, min(q.tag) as tag
      -- By address: for the sake of the grouping an index could be read from end to end.
      from (select * from mq_ready as q where q.ctid = any (turns) and (all_ours or q.channel_key = any (channels)) offset 0) as q
      group by q.channel_name_key, q.name_key, q.channel_key
    ) as t
    -- The next ones of the flow, whatever they are: it may have unordered jobs as well, of any number.
    cross join lateral (
      select q.ctid as at, q.id is null and q.ids is null as is_turn
      from mq_ready as q
      where q.channel_name_key = t.channel_name_key and q.name_key = t.name_key and q.channel_key = t.channel_key and q.tag > t.tag
      order by q.tag nulls first limit 32
    ) as near
    cross join lateral (
      select q.ctid as at from mq_ready as q where q.ctid = near.at and near.is_turn for update skip locked
    ) as other
  );

  -- A new statement, so that it sees everything committed before the channels and all these turns were ours. Nobody else can start a
  -- job of them now. One look each, with a limit: `exists` might be made a table of everything there is.
  select array_agg(f.channel_key) filter (where f.is_running),
    array_agg(f.id) filter (where not f.is_running), array_agg(f.channel_key) filter (where not f.is_running),
    array_agg(f.at) filter (where not f.is_running), array_agg(f.attempts) filter (where not f.is_running),
    array_agg(f.is_known) filter (where not f.is_running), array_agg(f.is_due) filter (where not f.is_running)
  into running, fronts, front_channels, places, used, known, due
  from (
    select c.channel_key, h.id, h.at, h.attempts, r.is_running, name_keys is null or h.name_key = any (name_keys) as is_known,
      not r.is_running and (select true from mq_scheduled as s where s.id = h.id limit 1) is null
        and (select true from mq_held as d where d.id = h.id limit 1) is null as is_due
    from unnest(channels) as c (channel_key)
    cross join lateral (
      select (select true from mq_running as r where r.channel_key = c.channel_key limit 1) is not null as is_running offset 0
    ) as r
    left join lateral (
      select l.id, l.ctid as at, l.attempts, l.name_key from mq_line as l
      where not r.is_running and l.channel_key = c.channel_key order by l.number limit 1
    ) as h on true
    where r.is_running or h.id is not null
    order by h.id
  ) as f;

  starts := mq_start_heads(mq_take_turns.runner, mq_take_turns.claim, places, fronts,
    array(select case when not known[n] then false when due[n] then true end from generate_subscripts(fronts, 1) as n));
  ids := array(select fronts[n] from unnest(starts.started) as n);
  attempts := array(select used[n] + 1 from unnest(starts.started) as n);

  -- A head that runs, is not yet due or is held needs no turn now: it gives the channel one when that ends. But if it is ending
  -- in a transaction that is open, that one has been given already, under the names that were seen then; and a cancellation may be
  -- rolled back. So a channel whose running row or head somebody else has locked keeps the turn. Whoever locks them after this
  -- has looked sees what it has seen.
  if running is not null or cardinality(starts.free) < cardinality(fronts) then
    busy := array(
      select front_channels[n]
      from generate_subscripts(fronts, 1) as n
      where not n = any (starts.free) and case
        when due[n] or not known[n] then true
        -- Nobody has locked it. To lock it here to see that would keep others waiting.
        when (select true from mq_line as l where l.ctid = places[n] and l.id = fronts[n] and l.xmax = 0 limit 1) then false
        else (select true from mq_line as l where l.ctid = places[n] and l.id = fronts[n] for key share skip locked) is null
      end
      union all
      select c.channel_key
      from unnest(running) as c (channel_key)
      where case
        when (select true from mq_running as r where r.channel_key = c.channel_key and r.xmax = 0 limit 1) then false
        else (select true from mq_running as r where r.channel_key = c.channel_key for key share skip locked) is null
      end
    );
  end if;
  -- What is not busy is used up, and what is not ours stays.
  if cardinality(busy) = 0 then
    delete from mq_ready as q where q.ctid = any (turns) and (all_ours or q.channel_key = any (channels));
    get diagnostics taken = row_count;
  else
    -- Behind the next row, or claims would look at this turn and at nothing else for as long as that transaction is open. Not
    -- below its old tag, so no mark hides it.
    with used as (
      delete from mq_ready as q
      where q.ctid = any (turns) and (all_ours or q.channel_key = any (channels))
      returning q.name_key, q.tag, q.channel_name_key, q.channel_key
    ),
    again as materialized (
      select u.name_key, min(u.tag) as tag, u.channel_name_key, u.channel_key
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
  end if;

  -- A head that this runner can't run gets a turn under its own name.
  if false = any (known) then
    perform mq_give_heads_turns(array(
      select front_channels[n] from generate_subscripts(fronts, 1) as n where not known[n] and due[n] and n = any (starts.free)
    ), '{}');
  end if;
end $$;
comment on function mq_take_turns(uuid, bigint, bigint[], tid[]) is
  'Starts the heads of ordered channels whose turns this claim has locked. taken: turns used up, whether or not a head could start. passed_over: other rows are in front of turns that were kept.';

-- Each channel has one under each name: one look at the head is enough, however many jobs it is asked for by.
create function mq_give_turns(name_keys bigint[], channel_name_keys bigint[], channel_keys bigint[]) returns void
  language plpgsql volatile
  set search_path from current
as $$
declare
  base bigint;
  flows record;
  tags bigint[];
begin
  select array_agg(f.name_key) as name_keys, array_agg(f.channel_name_key) as channel_name_keys, array_agg(f.channel_key) as channel_keys
  into flows
  from (
    select distinct name_keys[n] as name_key, channel_name_keys[n] as channel_name_key, channel_keys[n] as channel_key
    from generate_subscripts(channel_keys, 1) as n
  ) as f;
  if flows.channel_keys is null then
    return;
  end if;
  -- See mq_place.
  perform pg_current_xact_id();
  base := nextval('mq_position');
  tags := mq_next_tags(flows.name_keys, flows.channel_name_keys, flows.channel_keys, base);
  insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, attempts, bytes)
  select flows.name_keys[n], tags[n], nextval('mq_position'), flows.channel_name_keys[n], flows.channel_keys[n], 0, 0
  from generate_subscripts(tags, 1) as n;
  perform mq_wake(flows.name_keys, flows.channel_name_keys);
end $$;
comment on function mq_give_turns(bigint[], bigint[], bigint[]) is
  'Gives ordered channels turns, each under its name: one for all that are of the same channel and name.';

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
declare
  heads record;
begin
  select array_agg(l.name_key) as name_keys, array_agg(l.channel_name_key) as channel_name_keys, array_agg(l.channel_key) as channel_keys
  into heads
  from unnest(channels) as c (channel_key)
  cross join lateral (
    select * from mq_line as l where l.channel_key = c.channel_key order by l.number limit 1
  ) as l
  where not l.id = any (but_for);
  perform mq_give_turns(heads.name_keys, heads.channel_name_keys, heads.channel_keys);
end $$;
comment on function mq_give_heads_turns(bigint[], uuid[]) is
  'Gives these channels a turn under the names of their heads, unless a head is one of the jobs that have got theirs.';
