-- Claim: ready rows become running ones, in the order of their tags.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- A mark becomes safe in two steps. First it must be out of reach: a spawner takes its transaction id before it looks for
-- marks, and whoever sees this one places at or above it. So whoever did not has an id older than that of any claim that saw
-- the mark before it took an id of its own (the end of a snapshot would not do: it says nothing of the ids that are given
-- out and still open). Once these have ended nothing can appear below. But something may have appeared meanwhile. So, second,
-- a sweep that sees them all ended must find nothing there.
create function mq_advance_mark(name_key bigint, reached bigint, seen bigint, sweep boolean) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  lowest_tag constant bigint := -9223372036854775808;
  mark record;
  lowest bigint;
  all_ended_before xid8;
  safe bigint;
  next_safe bigint;
  after xid8;
begin
  -- One claim at a time, and nobody waits: two that insert the same mark would, for as long as the first one is open.
  if not pg_try_advisory_xact_lock(mq_lock_base() # mq_advance_mark.name_key) then
    return;
  end if;
  select m.tag, m.safe_tag, m.next_safe_tag, m.safe_after into mark
  from mq_marks as m
  where m.name_key = mq_advance_mark.name_key
  order by m.tag desc limit 1;
  safe := coalesce(mark.safe_tag, lowest_tag);
  next_safe := mark.next_safe_tag;
  after := mark.safe_after;

  -- The lowest visible row, not the lowest claimed one: a row under another claim that rolls back is visible still. In the same
  -- snapshot as the proof.
  select (
      select q.tag from mq_ready as q
      where q.name_key = mq_advance_mark.name_key and q.tag >= case when sweep then safe else coalesce(mark.tag, lowest_tag) end
      order by q.name_key, q.tag limit 1
    ),
    pg_snapshot_xmin(pg_current_snapshot())
  into lowest, all_ended_before;

  if sweep and after <= all_ended_before then
    safe := greatest(safe, least(next_safe, lowest));
    next_safe := null;
    after := null;
  end if;
  -- One at a time, or a stream of long transactions would put it off for ever; and one from another cluster, in a restored
  -- database, is of no use.
  if (after is null or after > pg_current_xact_id()) and seen > safe then
    next_safe := seen;
    after := pg_current_xact_id();
  end if;

  lowest := coalesce(lowest, reached);
  if lowest > coalesce(mark.tag, lowest_tag) then
    insert into mq_marks (name_key, tag, safe_tag, next_safe_tag, safe_after)
    values (mq_advance_mark.name_key, lowest, safe, next_safe, after)
    on conflict do nothing;
    -- Whoever sees this sees the mark that was there before, so the ones below that are of no use.
    delete from mq_marks as m
    where m.name_key = mq_advance_mark.name_key and m.tag < mark.tag;
  end if;
end $$;
comment on function mq_advance_mark(bigint, bigint, bigint, boolean) is
  'Notes how far the ready rows of a name have been taken. seen: the mark that this claim saw before it had a transaction id (null: unknown). sweep: whether it looked from the safe mark on.';

-- Names that have something ready, and from where on. A claim that finds none takes no lock and no transaction id.
--
-- The fast mark is what the last claim saw; rows of transactions that were open then may appear below it, and a sweep finds
-- them. Below the safe one there is nothing and nothing can appear.
create function mq_ready_names(name_keys bigint[], safe boolean, out names bigint[], out from_tags bigint[], out marks bigint[])
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
  set enable_indexonlyscan = off
  set enable_sort = off
as $$
declare
  lowest_tag constant bigint := -9223372036854775808;
begin
  -- A runner that takes every name skips from one to the next.
  if name_keys is null then
    name_keys := array(
      with recursive all_names as (
        (select q.name_key from mq_ready as q order by q.name_key limit 1)
        union all
        select (select q.name_key from mq_ready as q where q.name_key > n.name_key order by q.name_key limit 1)
        from all_names as n
        where n.name_key is not null
      )
      select n.name_key from all_names as n where n.name_key is not null
    );
  end if;
  select coalesce(array_agg(k), '{}'), array_agg(start.tag), array_agg(start.mark)
  into names, from_tags, marks
  from unnest(name_keys) as k
  cross join lateral (
    select mark.tag as mark, coalesce(case when safe then mark.safe_tag else mark.tag end, lowest_tag) as tag
    from (select k) as one
    left join lateral (
      select m.tag, m.safe_tag from mq_marks as m where m.name_key = k order by m.tag desc limit 1
    ) as mark on true
    offset 0
  ) as start
  -- The order names the index to use: a plan made while the queue was empty must do for a full one.
  where (
    select true from mq_ready as q where q.name_key = k and q.tag >= start.tag order by q.name_key, q.tag limit 1
  );
end $$;
comment on function mq_ready_names(bigint[], boolean) is
  'Which of these names (null: of all) have ready rows, the tags to claim from (safe: those of a sweep), and their marks.';

-- Takes up to max_jobs ready rows, lowest tags first, each name getting its share; the first name rotates with the claim.
create function mq_take_by_name(
  runner uuid, claim bigint, names bigint[], from_tags bigint[], max_jobs integer, max_bytes bigint,
  out ids uuid[], out attempts integer[], out turns tid[], out reached_names bigint[], out reached_tags bigint[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
  set enable_sort = off
as $$
declare
  rows_left integer := max_jobs;
  bytes_left bigint := max_bytes;
  at integer;
  share integer;
  took record;
  nth integer;
begin
  ids := '{}';
  attempts := '{}';
  turns := '{}';
  reached_names := '{}';
  reached_tags := '{}';
  for nth in 0 .. cardinality(names) - 1 loop
    exit when rows_left <= 0 or bytes_left <= 0;
    at := 1 + (mq_take_by_name.claim + nth) % cardinality(names);
    share := ceil(rows_left::numeric / (cardinality(names) - nth));
    -- The lock is taken in a materialized CTE: as a plain subquery the planner may evaluate it twice and lock more rows than
    -- the limit allows.
    with locked as materialized (
      select q.ctid as at, q.tag, q.bytes, q.id is null as is_turn
      from mq_ready as q
      where q.name_key = names[at] and q.tag >= from_tags[at]
      order by q.tag, q.position
      limit share
      for update skip locked
    ),
    summed as (
      select l.*, sum(l.bytes) over (rows unbounded preceding) - l.bytes as before
      from locked as l
    ),
    picked as materialized (
      select s.at, s.tag, s.bytes, s.is_turn from summed as s where s.before < bytes_left
    ),
    -- By address, and by nothing else: any index would be a walk.
    taken as (
      delete from mq_ready as q
      where q.ctid = any (array(select p.at from picked as p where not p.is_turn))
      returning q.id, q.attempts
    ),
    started as (
      insert into mq_running (runner, claim, id, attempt)
      select mq_take_by_name.runner, mq_take_by_name.claim, t.id, t.attempts + 1
      from taken as t
      returning id, attempt
    ),
    begun as (
      select array_agg(s.id) as ids, array_agg(s.attempt) as attempts from started as s
    )
    select (select b.ids from begun as b) as ids, (select b.attempts from begun as b) as attempts,
      array_agg(p.at) filter (where p.is_turn) as turns, max(p.tag) as last_tag, count(*) as rows, sum(p.bytes) as bytes
    into took
    from picked as p;
    continue when took.rows = 0;
    ids := ids || took.ids;
    attempts := attempts || took.attempts;
    turns := turns || took.turns;
    reached_names := reached_names || names[at];
    reached_tags := reached_tags || took.last_tag;
    rows_left := rows_left - took.rows;
    bytes_left := bytes_left - took.bytes;
  end loop;
end $$;
comment on function mq_take_by_name(uuid, bigint, bigint[], bigint[], integer, bigint) is
  'Starts ready jobs for a runner that takes all channels, and locks turns of ordered channels.';

-- Locks up to max_jobs ready rows of some channel names. Tags of different channel names are not in step when they have
-- runners of their own, so this goes round the channels instead, from the one where the last claim stopped. The walk skips
-- from flow to flow inside the subscribed channel names and known names, and never touches any other row: its keys are equal,
-- so that a scan ends where the flow does, and its orders are those of the index by flow alone, whatever the planner believed
-- when it looked.
create function mq_pick_by_channel(
  name_keys bigint[], channel_name_keys bigint[], max_jobs integer, max_bytes bigint, inout after_channel bigint,
  out rows tid[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
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

  -- Pairs of channel name and name with something ready.
  select array_agg(p.channel_name_key), array_agg(p.name_key) into subscribed, names
  from (
    select c.channel_name_key, n.name_key
    from unnest(channel_name_keys) as c (channel_name_key)
    cross join unnest(coalesce(name_keys, (mq_ready_names(null, true)).names)) as n (name_key)
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
    select picked.at, picked.bytes, f.place, f.channel
    from unnest(flow_channel_names, flow_names, flow_channels) with ordinality as f (channel_name, name, channel, place)
    cross join lateral (
      select q.ctid as at, q.bytes
      from mq_ready as q
      where q.channel_name_key = f.channel_name and q.name_key = f.name and q.channel_key = f.channel
      order by q.tag nulls first
      limit (max_jobs + cardinality(flow_channels) - 1) / cardinality(flow_channels)
      for update skip locked
    ) as picked
  ),
  summed as (
    select l.at, l.channel, l.place, sum(l.bytes) over (order by l.place rows unbounded preceding) - l.bytes as before,
      row_number() over (order by l.place) as nth
    from locked as l
  )
  -- If others have locked all rows that were looked at, the next claim looks behind them.
  select coalesce(array_agg(s.at), '{}'), coalesce(
    (array_agg(s.channel order by s.nth desc))[1],
    case
      when cardinality(flow_channels) >= max_jobs then flow_channels[cardinality(flow_channels)]
      else mq_pick_by_channel.after_channel
    end
  )
  into rows, after_channel
  from summed as s
  where s.before < max_bytes and s.nth <= max_jobs;
end $$;
comment on function mq_pick_by_channel(bigint[], bigint[], integer, bigint, bigint) is
  'Locks ready rows for a runner that subscribes to some channel names.';

-- Starts the unordered jobs among locked rows. By address, and by nothing else: any index would be a walk.
create function mq_take_jobs(
  runner uuid, claim bigint, rows tid[], out ids uuid[], out attempts integer[], out turns tid[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
  set enable_indexscan = off
  set enable_indexonlyscan = off
as $$
begin
  with taken as (
    delete from mq_ready as q
    where q.ctid = any (rows) and q.id is not null
    returning q.id, q.attempts
  ),
  started as (
    insert into mq_running (runner, claim, id, attempt)
    select mq_take_jobs.runner, mq_take_jobs.claim, t.id, t.attempts + 1
    from taken as t
    returning id, attempt
  )
  select coalesce(array_agg(s.id), '{}'), coalesce(array_agg(s.attempt), '{}') into ids, attempts
  from started as s;
  turns := '{}';
  if cardinality(ids) < cardinality(rows) then
    turns := array(select q.ctid from mq_ready as q where q.ctid = any (rows));
  end if;
end $$;
comment on function mq_take_jobs(uuid, bigint, tid[]) is 'Starts the unordered jobs among these locked rows; turns are the other rows.';

-- Looks at the heads of ordered channels whose turns were picked, and starts those that may start.
create function mq_take_turns(
  runner uuid, claim bigint, name_keys bigint[], turns tid[], out ids uuid[], out attempts integer[], out taken integer,
  out passed_over boolean
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  channels bigint[];
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

  -- A new statement, so that it sees everything committed before the channels were ours. A head that runs, is not yet due or
  -- is held needs no turn now: it gives the channel one when that ends. That one may be under the head's own name, though, which
  -- is of use to nobody here if the name is not known.
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
    where not exists (select from mq_running as r where r.channel_key = c.channel_key)
  ) as h
  where h.is_due or not h.is_known;
  heads := array(select f.id from unnest(fronts.ids, fronts.known) as f (id, is_known) where f.is_known);

  with locked as materialized (
    select l.channel_key, l.number, l.id
    from mq_line as l
    where l.id = any (fronts.ids)
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

  -- A channel keeps the turn when somebody is cancelling its head: the cancellation may be rolled back, and what comes after
  -- the head may have been spawned too late for the cancellation to see it. But behind the next row, or claims would look at this turn
  -- and at nothing else for as long as the cancellation is open. Not below its old tag, so no mark hides it.
  busy := array(
    select f.channel_key from unnest(fronts.ids, fronts.channels) as f (id, channel_key) where not f.id = any (free)
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
  language sql volatile
  set search_path from current
as $$
  select mq_make_ready(array_agg(l.id), array_agg(l.attempts))
  from mq_line as l
  where l.id = any (ids)
$$;
comment on function mq_give_turns(uuid[]) is 'Gives the channels of these ordered jobs a turn under the jobs'' names.';

-- Payloads of small claims come back with the claim: with the ids they fit into what any connection takes without its reader.
-- Whoever is slow to read a larger answer would hold the claim's locks for as long, so those are fetched after its commit.
create function mq_small_payloads(ids uuid[], out names text[], out channel_names text[], out channel_args text[],
  out payloads_json text[], out payloads_bytes bytea[], out max_attempts integer[])
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  small constant integer := 16384;
  found_bytes bigint;
begin
  select array_agg(j.name), array_agg(j.channel_name), array_agg(j.channel_args),
    array_agg(case when j.bytes <= small then j.payload_json end), array_agg(case when j.bytes <= small then j.payload_bytes end),
    array_agg(j.max_attempts), sum(j.bytes)
  into names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts, found_bytes
  from (
    select j.name, j.channel_name, j.channel_args, p.payload_json, p.payload_bytes,
      j.max_attempts + coalesce(c.extra_attempts, 0) as max_attempts,
      octet_length(j.name) + octet_length(j.channel_name) + octet_length(j.channel_args)
        + coalesce(octet_length(p.payload_json), 0) + coalesce(octet_length(p.payload_bytes), 0) as bytes
    from generate_subscripts(ids, 1) as n
    cross join lateral (select * from mq_jobs as j where j.id = ids[n] limit 1) as j
    left join lateral (select * from mq_checkpoints as c where c.id = ids[n] limit 1) as c on true
    cross join lateral (
      select coalesce(c.payload_json, j.payload_json) as payload_json, coalesce(c.payload_bytes, j.payload_bytes) as payload_bytes
    ) as p
    order by n
  ) as j;
  -- A job may have been removed since.
  if found_bytes > small or cardinality(names) < cardinality(ids) then
    names := null;
    channel_names := null;
    channel_args := null;
    payloads_json := null;
    payloads_bytes := null;
    max_attempts := null;
  end if;
end $$;
comment on function mq_small_payloads(uuid[]) is 'What claimed jobs are to do, in the order of the ids; null if that is more than 16 KiB.';

create function mq_claim(
  runner uuid,
  claim bigint,
  max_jobs integer,
  max_bytes bigint,
  name_keys bigint[],
  channel_name_keys bigint[],
  inout after_channel bigint,
  sweep boolean,
  own_lease interval,
  out ids uuid[],
  out attempts integer[],
  out more boolean,
  out expired boolean,
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
as $$
declare
  ready record;
  picked tid[];
  taken record;
  turned record;
  stopped_at constant bigint := after_channel;
  nth integer;
  -- One mark for about 256 rows: often enough to keep the walk short, rare enough to cost nothing.
  marking constant double precision := case when sweep then 0 else random() * 256 end;
begin
  perform mq_require_read_committed();
  ids := '{}';
  attempts := '{}';
  more := false;
  expired := false;
  if max_jobs <= 0 then
    return;
  end if;

  -- Look before locking anything: an idle runner costs no transaction id.
  if channel_name_keys is null then
    select r.names, r.from_tags, r.marks into ready from mq_ready_names(name_keys, sweep) as r;
    if cardinality(ready.names) = 0 then
      return;
    end if;
    -- Of use only if they were seen before this claim had a transaction id: see mq_advance_mark.
    if pg_current_xact_id_if_assigned() is not null then
      ready.marks := null;
    end if;
  elsif not exists (
    select from unnest(channel_name_keys) as c
    where (select true from mq_ready as q where q.channel_name_key = c order by q.channel_name_key limit 1)
  ) then
    return;
  end if;

  if not mq_hold_lease(mq_claim.runner, mq_claim.claim) then
    expired := true;
    return;
  end if;

  if channel_name_keys is null then
    select t.* into taken
    from mq_take_by_name(mq_claim.runner, mq_claim.claim, ready.names, ready.from_tags, max_jobs, max_bytes) as t;
  else
    select p.rows, p.after_channel into picked, mq_claim.after_channel
    from mq_pick_by_channel(name_keys, channel_name_keys, max_jobs, max_bytes, mq_claim.after_channel) as p;
    select t.* into taken from mq_take_jobs(mq_claim.runner, mq_claim.claim, picked) as t;
    more := cardinality(picked) = 0 and after_channel is distinct from stopped_at;
  end if;
  ids := taken.ids;
  attempts := taken.attempts;
  if cardinality(taken.turns) > 0 then
    select t.ids, t.attempts, t.taken, t.passed_over into turned
    from mq_take_turns(mq_claim.runner, mq_claim.claim, name_keys, taken.turns) as t;
    ids := ids || turned.ids;
    attempts := attempts || turned.attempts;
    more := turned.taken > 0 or turned.passed_over;
  end if;
  if channel_name_keys is null and marking < cardinality(taken.ids) + cardinality(taken.turns) then
    for nth in 1 .. cardinality(taken.reached_names) loop
      perform mq_advance_mark(taken.reached_names[nth], taken.reached_tags[nth],
        ready.marks[array_position(ready.names, taken.reached_names[nth])], sweep);
    end loop;
  end if;
  if cardinality(ids) = 0 then
    return;
  end if;
  more := true;

  if own_lease is not null then
    insert into mq_leases (id, runner, claim, expires_at)
    select i, mq_claim.runner, mq_claim.claim, mq_now() + own_lease
    from unnest(ids) as i
    on conflict (id) do update
    set runner = excluded.runner, claim = excluded.claim, expires_at = excluded.expires_at;
  end if;

  -- A first attempt that a crash of the database forgets is ready again, which is as it should be. A later one must be
  -- counted, or a job that crashes the database would do so for ever.
  if 2 <= any (attempts) then
    perform set_config('synchronous_commit', 'on', true);
  end if;

  select p.names, p.channel_names, p.channel_args, p.payloads_json, p.payloads_bytes, p.max_attempts
  into names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts
  from mq_small_payloads(ids) as p;
end $$;
comment on function mq_claim(uuid, bigint, integer, bigint, bigint[], bigint[], bigint, boolean, interval) is
  'Claims up to max_jobs ready jobs of about max_bytes of payload for a runner: by names (null: all) and channel names (null: all). (runner, claim) is their token and must be new. Pass back after_channel. more: there may be more to claim. expired: the runner''s lease is over, nothing was claimed. names to max_attempts: what the jobs are to do; null if that is much: ask mq_payloads.';

create function mq_payloads(
  ids uuid[],
  out id uuid,
  out name text,
  out channel_name text,
  out channel_args text,
  out payload_json text,
  out payload_bytes bytea,
  out spawned_at timestamptz,
  out max_attempts integer
) returns setof record
  language plpgsql stable
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  return query
    select j.id, j.name, j.channel_name, j.channel_args,
      coalesce(c.payload_json, j.payload_json),
      coalesce(c.payload_bytes, j.payload_bytes),
      j.spawned_at,
      j.max_attempts + coalesce(c.extra_attempts, 0)
    from unnest(ids) with ordinality as i (id, place)
    join mq_jobs as j on j.id = i.id
    left join mq_checkpoints as c on c.id = i.id
    order by i.place;
end $$;
comment on function mq_payloads(uuid[]) is 'What claimed jobs are to do.';
