-- Claim by channel name, for a runner that subscribes to some: ready rows become running ones.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Locks up to max_jobs ready rows of some channel names. Tags of different channel names are not in step when they have
-- runners of their own, so this goes round the channels instead, from the one where the last claim stopped. The walk skips
-- from flow to flow inside the subscribed channel names and known names, and never touches any other row: its keys are equal,
-- so that a scan ends where the flow does, and its orders are those of the index by flow alone, whatever the planner believed
-- when it looked.
create function mq_pick_by_channel(
  name_keys bigint[], channel_name_keys bigint[], max_jobs integer, max_bytes bigint, inout after_channel bigint,
  out rows tid[], out jobs integer[]
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
  lowest constant bigint := -9223372036854775808;
  from_channel bigint := after_channel;
  subscribed bigint[];
  names bigint[];
  flow_channel_names bigint[] := '{}';
  flow_names bigint[] := '{}';
  flow_channels bigint[] := '{}';
  found_flows record;
  round integer;
begin
  rows := '{}';
  jobs := '{}';

  -- Pairs of channel name and name with something ready.
  select array_agg(p.channel_name_key), array_agg(p.name_key) into subscribed, names
  from (
    select c.channel_name_key, n.name_key
    from unnest(channel_name_keys) as c (channel_name_key)
    cross join unnest(coalesce(name_keys, mq_all_names())) as n (name_key)
    where (
      select true from mq_ready as q
      where q.channel_name_key = c.channel_name_key and q.name_key = n.name_key
      order by q.channel_key, q.tag nulls first limit 1
    )
  ) as p;
  if subscribed is null then
    return;
  end if;

  -- Up from the last channel, then round from the lowest one.
  for round in 1 .. 2 loop
    with recursive walk as (
      select l.channel_name_key, l.name_key, first.channel_key, 1 as step
      from unnest(subscribed, names) as l (channel_name_key, name_key)
      cross join lateral (
        select q.channel_key from mq_ready as q
        where q.channel_name_key = l.channel_name_key and q.name_key = l.name_key and q.channel_key > from_channel
        order by q.channel_key, q.tag nulls first limit 1
      ) as first
      union all
      select w.channel_name_key, w.name_key, next.channel_key, w.step + 1
      from walk as w
      cross join lateral (
        select q.channel_key from mq_ready as q
        where q.channel_name_key = w.channel_name_key and q.name_key = w.name_key and q.channel_key > w.channel_key
        order by q.channel_key, q.tag nulls first limit 1
      ) as next
      where w.step < max_jobs
    ),
    chosen as (
      select w.channel_name_key, w.name_key, w.channel_key
      from walk as w
      where round = 1 or w.channel_key <= mq_pick_by_channel.after_channel
      -- Any name of a channel: the next claim goes on behind the channel, and a name that is never first would starve.
      order by w.channel_key, random()
      limit max_jobs - cardinality(flow_channels)
    )
    select array_agg(c.channel_name_key) as channel_names, array_agg(c.name_key) as names,
      array_agg(c.channel_key) as channels
    into found_flows
    from chosen as c;
    flow_channel_names := flow_channel_names || coalesce(found_flows.channel_names, '{}');
    flow_names := flow_names || coalesce(found_flows.names, '{}');
    flow_channels := flow_channels || coalesce(found_flows.channels, '{}');
    exit when cardinality(flow_channels) >= max_jobs or from_channel = lowest;
    from_channel := lowest;
  end loop;
  if cardinality(flow_channels) = 0 then
    return;
  end if;

  with locked as materialized (
    select f.place, f.channel, share.jobs as share, own.*
    from unnest(flow_channel_names, flow_names, flow_channels) with ordinality as f (channel_name, name, channel, place)
    cross join lateral (
      select (max_jobs + cardinality(flow_channels) - 1) / cardinality(flow_channels) as jobs
    ) as share
    -- How long the runs are, by the first few: rows beyond what is needed should not be locked.
    cross join lateral (
      select avg(first.jobs)::double precision as run
      from (
        select coalesce(cardinality(q.ids), 1) as jobs
        from mq_ready as q
        where q.channel_name_key = f.channel_name and q.name_key = f.name and q.channel_key = f.channel
        order by q.tag nulls first limit least(share.jobs, 16)
      ) as first
    ) as near
    cross join lateral (
      select q.ctid as at, q.bytes, coalesce(cardinality(q.ids), 1) as jobs
      from mq_ready as q
      where q.channel_name_key = f.channel_name and q.name_key = f.name and q.channel_key = f.channel
      order by q.tag nulls first
      limit ceil(share.jobs / near.run)
      for update skip locked
    ) as own
  ),
  -- As in mq_claim_by_name: of the last run of a share, and of the one that reaches max_bytes, only some jobs may be wanted.
  shares as (
    select l.*, least(l.jobs, l.share - sum(l.jobs) over (partition by l.place order by l.nth) + l.jobs) as wanted
    from (select *, row_number() over () as nth from locked) as l
  ),
  capped as (
    select s.at, s.channel, s.bytes, s.jobs, s.nth,
      least(s.wanted, max_jobs - sum(s.wanted) over (order by s.nth) + s.wanted)::integer as wanted
    from shares as s
    where s.wanted > 0
  ),
  summed as (
    select c.*, (sum(c.bytes * c.wanted / c.jobs) over (order by c.nth))::bigint - c.bytes * c.wanted / c.jobs as before
    from capped as c
    where c.wanted > 0
  )
  -- If others have locked all rows that were looked at, the next claim looks behind them.
  select coalesce(array_agg(s.at order by s.nth), '{}'),
    coalesce(array_agg(
      least(s.wanted, 1 + (max_bytes - s.before - 1) / greatest(s.bytes / s.jobs, 1))::integer order by s.nth
    ), '{}'),
    coalesce(
      (array_agg(s.channel order by s.nth desc))[1],
      case
        when cardinality(flow_channels) >= max_jobs then flow_channels[cardinality(flow_channels)]
        else mq_pick_by_channel.after_channel
      end
    )
  into rows, jobs, after_channel
  from summed as s
  where s.before < max_bytes;
end $$;
comment on function mq_pick_by_channel(bigint[], bigint[], integer, bigint, bigint) is
  'Locks ready rows for a runner that subscribes to some channel names; jobs: how many to take of each.';

-- Starts the unordered jobs among locked rows. By address, and by nothing else: any index would be a walk.
create function mq_take_jobs(
  runner uuid, claim bigint, rows tid[], jobs integer[], out ids uuid[], out attempts integer[], out turns tid[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
  set enable_indexscan = off
  set enable_indexonlyscan = off
as $$
begin
  with found as materialized (
    select q.ctid as at, q.id is null and q.ids is null as is_turn, coalesce(q.ids, array[q.id]) as ids, q.attempts,
      mq_take_jobs.jobs[array_position(rows, q.ctid)] as taken
    from mq_ready as q
    where q.ctid = any (rows)
  ),
  taken as (
    delete from mq_ready as q
    where q.ctid = any (array(select f.at from found as f where not f.is_turn and f.taken >= cardinality(f.ids)))
    returning coalesce(q.ids, array[q.id]) as ids, q.attempts, array_position(rows, q.ctid) as place
  ),
  shortened as (
    update mq_ready as q
    set ids = f.ids[f.taken + 1 :], bytes = q.bytes - q.bytes * f.taken / cardinality(f.ids)
    from found as f
    where q.ctid = f.at and f.taken < cardinality(f.ids)
    returning f.ids[: f.taken] as ids, q.attempts, array_position(rows, f.at) as place
  ),
  started as (
    insert into mq_running (runner, claim, id, attempt)
    select mq_take_jobs.runner, mq_take_jobs.claim, unnest(t.ids), t.attempts + 1
    -- In their order, as in mq_claim_many.
    from (select * from (select * from taken union all select * from shortened) as t order by t.place) as t
    returning id, attempt
  )
  select coalesce(array_agg(s.id), '{}'), coalesce(array_agg(s.attempt), '{}'),
    array(select f.at from found as f where f.is_turn)
  into ids, attempts, turns
  from started as s;
end $$;
comment on function mq_take_jobs(uuid, bigint, tid[], integer[]) is
  'Starts the unordered jobs among these locked rows, so many of each; turns are the other rows.';

-- Its settings hold for the functions it calls as well: see mq_claim_by_name.
create function mq_claim_by_channel(
  runner uuid,
  claim bigint,
  max_jobs integer,
  max_bytes bigint,
  name_keys bigint[],
  channel_name_keys bigint[],
  inout after_channel bigint,
  own_lease interval,
  asleep boolean,
  out ids uuid[],
  out attempts integer[],
  out more boolean,
  out expired boolean,
  out due boolean,
  out names text[],
  out channel_names text[],
  out channel_args text[],
  out payloads_json text[],
  out payloads_bytes bytea[],
  out max_attempts integer[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
  set jit = off
as $$
declare
  picked record;
  taken record;
  turned record;
  work record;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    perform mq_require_read_committed();
  end if;
  ids := '{}';
  attempts := '{}';
  more := false;
  expired := false;
  if max_jobs <= 0 or max_bytes <= 0 then
    return;
  end if;

  -- Look before locking anything: an idle runner costs no transaction id.
  if not exists (
    select from unnest(channel_name_keys) as c
    where (select true from mq_ready as q where q.channel_name_key = c order by q.channel_name_key limit 1)
  ) then
    due := asleep and mq_is_due();
    return;
  end if;
  if not mq_hold_lease(mq_claim_by_channel.runner, mq_claim_by_channel.claim) then
    expired := true;
    return;
  end if;

  picked := mq_pick_by_channel(name_keys, channel_name_keys, max_jobs, max_bytes, mq_claim_by_channel.after_channel);
  taken := mq_take_jobs(mq_claim_by_channel.runner, mq_claim_by_channel.claim, picked.rows, picked.jobs);
  ids := taken.ids;
  attempts := taken.attempts;
  more := cardinality(ids) > 0
    or cardinality(picked.rows) = 0 and mq_claim_by_channel.after_channel is distinct from picked.after_channel;
  mq_claim_by_channel.after_channel := picked.after_channel;
  if cardinality(taken.turns) > 0 then
    turned := mq_take_turns(mq_claim_by_channel.runner, mq_claim_by_channel.claim, name_keys, taken.turns);
    ids := ids || turned.ids;
    attempts := attempts || turned.attempts;
    more := cardinality(ids) > 0 or turned.taken > 0 or turned.passed_over;
  end if;
  if cardinality(ids) = 0 then
    due := asleep and mq_is_due();
    return;
  end if;
  perform mq_secure_claim(mq_claim_by_channel.runner, mq_claim_by_channel.claim, ids, attempts, own_lease);
  work := mq_small_payloads(ids);
  names := work.names;
  channel_names := work.channel_names;
  channel_args := work.channel_args;
  payloads_json := work.payloads_json;
  payloads_bytes := work.payloads_bytes;
  max_attempts := work.max_attempts;
end $$;
comment on function mq_claim_by_channel(uuid, bigint, integer, bigint, bigint[], bigint[], bigint, interval, boolean) is
  'Claims up to max_jobs ready jobs of about max_bytes of payload for a runner that subscribes to channel names, by their keys, and by the keys of names (null: all). Answers as mq_claim_by_name does, with what is to be done in the order of ids; pass back after_channel.';
