-- Enqueue: how a job that may start now gets its place among the ready ones.
--
-- Fairness is decided here and not by the claim: start-time fair queueing (Goyal, Vin, Cheng 1996). A flow is one name in one
-- channel. A job's tag is one more than the last of its flow, but never less than the lowest tag now waiting under its name.
-- A claim is then one forward scan, and a flow with a million jobs has one of them in each round.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- An ordered job keeps its place in line, and with it what it has used up.
create function mq_note_attempts(ids uuid[], attempts_used integer[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  -- By address: a join would be planned from the side of the line, if that was empty, and read all of it. Nobody else starts a job
  -- whose state row the caller has in hand, so these rows stay where they are.
  update mq_line as l
  set attempts = attempts_used[array_position(ids, l.id)]
  where l.ctid = any (array(
    select own.at
    from generate_subscripts(ids, 1) as n
    cross join lateral (
      select l.ctid as at from mq_line as l where l.id = ids[n] and l.attempts <> attempts_used[n] limit 1
    ) as own
  ));
end $$;
comment on function mq_note_attempts(uuid[], integer[]) is 'Writes the attempts that ordered jobs have used into their lines.';

-- Arrays are read by subscript and not by unnest, which would copy each of them through a store of its own: a fifth of the time
-- for one job, less than half for a thousand.
create function mq_flows(
  names text[], channel_names text[], channel_args text[], ordered boolean[],
  out flow_of integer[], out nth_of bigint[], out name_keys bigint[], out channel_name_keys bigint[], out channel_keys bigint[]
)
  language plpgsql stable
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  if cardinality(names) = 1
    or (names[1] = all (names) and channel_names[1] = all (channel_names) and channel_args[1] = all (channel_args)
      and ordered[1] = all (ordered)) then
    name_keys := array[mq_key(names[1])];
    channel_name_keys := array[mq_key(channel_names[1])];
    channel_keys := array[mq_key(channel_names[1], channel_args[1])];
    return;
  end if;
  with jobs as materialized (
    select n, names[n] as name, channel_names[n] as channel_name, channel_args[n] as args, ordered[n] as is_ordered
    from generate_subscripts(names, 1) as n
  ),
  numbered as (
    select j.*,
      dense_rank() over (order by j.name collate "C", j.channel_name collate "C", j.args collate "C", j.is_ordered)::integer as flow,
      row_number() over (
        partition by j.name collate "C", j.channel_name collate "C", j.args collate "C", j.is_ordered order by j.n
      ) as nth
    from jobs as j
  )
  select
    array_agg(j.flow order by j.n), array_agg(j.nth order by j.n),
    array_agg(mq_key(j.name) order by j.flow) filter (where j.nth = 1),
    array_agg(mq_key(j.channel_name) order by j.flow) filter (where j.nth = 1),
    array_agg(mq_key(j.channel_name, j.args) order by j.flow) filter (where j.nth = 1)
  into flow_of, nth_of, name_keys, channel_name_keys, channel_keys
  from numbered as j;
end $$;
comment on function mq_flows(text[], text[], text[], boolean[]) is
  'Which flow each of these jobs is of, and which of that flow it is (null: there is one flow); and the keys of each flow.';

-- The tag of each flow's next job. A flow's first row goes to the lowest tag that waits under its name. If nothing waits, it
-- starts anew at the end, where no mark hides the row; a mark may have passed base since that was drawn.
--
-- In the order of the flows without being sorted: each part needs the one before it, so that this can only be a nested loop.
-- A flow with rows waiting goes on behind them; they are not below the lowest of the name, so that need not be asked for.
-- A scan of an index alone would copy a page's worth of entries to give us one.
create function mq_next_tags(name_keys bigint[], channel_name_keys bigint[], channel_keys bigint[], base bigint) returns bigint[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_indexonlyscan = off
  set enable_sort = off
as $$
declare
  -- A snapshot of its own shows rows long gone, and reading others' rows would tie SERIALIZABLE callers to each other. Such a
  -- caller's rows go to the end, where no mark can hide them.
  blind constant boolean := current_setting('transaction_isolation') not in ('read committed', 'read uncommitted');
  mark bigint;
  tags bigint[];
  lowest bigint;
begin
  -- Mostly they are of one name, and then it is looked up once.
  if name_keys[1] = all (name_keys) then
    select m.tag into mark from mq_marks as m where not blind and m.name_key = name_keys[1] order by m.tag desc limit 1;
    mark := coalesce(mark, 0);
    tags := array(
      select (
        select q.tag + coalesce(q.length, 1) from mq_ready as q
        where not blind
          and q.channel_name_key = channel_name_keys[n] and q.name_key = name_keys[1] and q.channel_key = channel_keys[n]
          and q.tag >= mark
        order by q.tag desc nulls last limit 1
      )
      from generate_subscripts(name_keys, 1) as n
    );
    if array_position(tags, null) is not null then
      select q.tag into lowest from mq_ready as q
      where not blind and q.name_key = name_keys[1] and q.tag >= mark
      order by q.name_key, q.tag limit 1;
      tags := array(
        select coalesce(tags[n], greatest(mark, coalesce(lowest, base))) from generate_subscripts(tags, 1) as n
      );
    end if;
    return tags;
  end if;
  return array(
    select coalesce(flow.next_tag, greatest(flow.mark, coalesce((
      select q.tag from mq_ready as q
      where not blind and q.name_key = name_keys[n] and q.tag >= flow.mark
      order by q.name_key, q.tag limit 1
    ), base)))
    from generate_subscripts(name_keys, 1) as n
    cross join lateral (
      select mark.tag as mark, (
        -- Equal keys, so that the scan ends where the flow does: a range of rows goes on to the end of its first key when it
        -- finds nothing. The order of nulls names the index by flow, whatever the planner believed when it looked.
        select q.tag + coalesce(q.length, 1) from mq_ready as q
        where not blind
          and q.channel_name_key = channel_name_keys[n] and q.name_key = name_keys[n] and q.channel_key = channel_keys[n]
          and q.tag >= mark.tag
        order by q.tag desc nulls last limit 1
      ) as next_tag
      from (
        select coalesce((
          select m.tag from mq_marks as m where not blind and m.name_key = name_keys[n] order by m.tag desc limit 1
        ), 0) as tag
        offset 0
      ) as mark
      offset 0
    ) as flow
  );
end $$;
comment on function mq_next_tags(bigint[], bigint[], bigint[], bigint) is
  'The tags that the next jobs of these flows get; base: a number of mq_position, drawn before this looks, for a name that nothing waits under.';

create function mq_place(
  ids uuid[], attempts_used integer[], names text[], channel_names text[], channel_args text[], ordered boolean[], bytes integer[]
) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  base bigint;
  flows record;
  tags bigint[];
begin
  -- The marks' proof of safety wants the transaction id to be older than the snapshot that reads the marks.
  perform pg_current_xact_id();
  base := nextval('mq_position');
  if not 0 = all (attempts_used) then
    perform mq_note_attempts(ids, attempts_used);
  end if;
  flows := mq_flows(names, channel_names, channel_args, ordered);
  tags := mq_next_tags(flows.name_keys, flows.channel_name_keys, flows.channel_keys, base);

  -- One look at the head of an ordered channel is enough, however many jobs arrived together.
  insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, id, attempts, bytes)
  select flows.name_keys[a.flow], tags[a.flow] + a.nth - 1, nextval('mq_position'), flows.channel_name_keys[a.flow],
    flows.channel_keys[a.flow],
    case when not ordered[a.n] then ids[a.n] end,
    case when ordered[a.n] then 0 else attempts_used[a.n] end,
    case when ordered[a.n] then 0 else bytes[a.n] end
  from (
    select n, coalesce(flows.flow_of[n], 1) as flow, coalesce(flows.nth_of[n], n) as nth from generate_subscripts(ids, 1) as n
  ) as a
  where not ordered[a.n] or a.nth = 1;

  perform mq_wake(flows.name_keys, flows.channel_name_keys);
end $$;
comment on function mq_place(uuid[], integer[], text[], text[], text[], boolean[], integer[]) is
  'Makes jobs ready, with the attempts they have used: unordered ones get a fair place each, ordered ones give their channel a turn.';

create function mq_enqueue(ids uuid[], attempts_used integer[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
as $$
declare
  arrivals record;
begin
  select
    array_agg(a.id order by a.place) as ids, array_agg(a.attempts order by a.place) as attempts,
    array_agg(j.name order by a.place) as names, array_agg(j.channel_name order by a.place) as channel_names,
    array_agg(j.channel_args order by a.place) as channel_args, array_agg(j.ordered order by a.place) as ordered,
    array_agg(
      coalesce(octet_length(j.payload_json), 0) + coalesce(octet_length(j.payload_bytes), 0) order by a.place
    ) as bytes
  into arrivals
  from unnest(ids, attempts_used) with ordinality as a (id, attempts, place)
  -- Lateral with a limit: one probe per job. A plan made for an empty table may read all of mq_jobs otherwise.
  cross join lateral (select * from mq_jobs as j where j.id = a.id limit 1) as j;
  if arrivals.ids is not null then
    perform mq_place(arrivals.ids, arrivals.attempts, arrivals.names, arrivals.channel_names, arrivals.channel_args,
      arrivals.ordered, arrivals.bytes);
  end if;
end $$;
comment on function mq_enqueue(uuid[], integer[]) is
  'Makes stored jobs ready, as mq_place does. See mq_make_ready for other levels than READ COMMITTED.';

-- For a fair place the jobs of a caller with an older snapshot take the way of delayed ones: a runner makes them ready at once.
create function mq_make_ready(ids uuid[], attempts_used integer[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
as $$
declare
  turns record;
  others record;
begin
  if ids is null or cardinality(ids) = 0 then
    return;
  end if;
  if current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
    perform mq_enqueue(ids, attempts_used);
    return;
  end if;
  select
    array_agg(a.id order by a.place) filter (where j.ordered) as ids,
    array_agg(a.attempts order by a.place) filter (where j.ordered) as attempts
  into turns
  from unnest(ids, attempts_used) with ordinality as a (id, attempts, place)
  cross join lateral (select j.ordered from mq_jobs as j where j.id = a.id limit 1) as j;
  if turns.ids is not null then
    perform mq_enqueue(turns.ids, turns.attempts);
  end if;
  select array_agg(a.id order by a.place) as ids, array_agg(a.attempts order by a.place) as attempts
  into others
  from unnest(ids, attempts_used) with ordinality as a (id, attempts, place)
  where not a.id = any (coalesce(turns.ids, '{}'));
  if others.ids is not null then
    perform mq_schedule(others.ids, array_fill(mq_now(), array[cardinality(others.ids)]), others.attempts);
  end if;
end $$;
comment on function mq_make_ready(uuid[], integer[]) is 'Makes stored jobs ready in a transaction of any isolation level.';

create function mq_schedule(ids uuid[], due timestamptz[], attempts_used integer[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
as $$
declare
  woken_names bigint[];
  woken_channels bigint[];
begin
  insert into mq_scheduled (id, due_at, attempts)
  select s.id, s.due_at, s.attempts
  from unnest(ids, due, attempts_used) as s (id, due_at, attempts);

  -- A runner looks at the schedule once per poll interval; only what is due before that needs a hint.
  select array_agg(distinct mq_key(j.name)), array_agg(distinct mq_key(j.channel_name))
  into woken_names, woken_channels
  from unnest(ids, due) as s (id, due_at)
  cross join lateral (select * from mq_jobs as j where j.id = s.id limit 1) as j
  where s.due_at < mq_now() + interval '5 seconds';
  if woken_names is not null then
    perform mq_wake(woken_names, woken_channels);
  end if;
end $$;
comment on function mq_schedule(uuid[], timestamptz[], integer[]) is 'Sets stored jobs aside until they are due.';
