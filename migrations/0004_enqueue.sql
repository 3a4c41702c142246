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
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  update mq_line as l
  set attempts = a.attempts
  from unnest(ids, attempts_used) as a (id, attempts)
  where l.id = a.id and l.attempts <> a.attempts;
end $$;
comment on function mq_note_attempts(uuid[], integer[]) is 'Writes the attempts that ordered jobs have used into their lines.';

create function mq_enqueue(ids uuid[], attempts_used integer[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  -- A snapshot of its own shows rows long gone, and reading others' rows would tie SERIALIZABLE callers to each other. Such a
  -- caller's rows go to the end, where no mark can hide them.
  blind constant boolean := current_setting('transaction_isolation') not in ('read committed', 'read uncommitted');
  base bigint;
  arrivals record;
  flows record;
begin
  -- The marks' proof of safety wants the transaction id to be older than the snapshot that reads the marks.
  perform pg_current_xact_id();
  base := nextval('mq_position');

  if not 0 = all (attempts_used) then
    perform mq_note_attempts(ids, attempts_used);
  end if;

  -- Jobs by number of flow, so that keys and tags are found once per flow and looked up by subscript: a join of a thousand
  -- jobs with a thousand flows is what a plan made for one job does badly.
  with jobs as (
    select a.place, a.id, a.attempts, j.name, j.channel_name, j.channel_args, j.ordered,
      coalesce(octet_length(j.payload_json), 0) + coalesce(octet_length(j.payload_bytes), 0) as bytes,
      dense_rank() over (order by j.name, j.channel_name, j.channel_args, j.ordered) as flow,
      row_number() over (partition by j.name, j.channel_name, j.channel_args, j.ordered order by a.place) as nth
    from unnest(ids, attempts_used) with ordinality as a (id, attempts, place)
    -- Lateral with a limit: one probe per job. A plan made for an empty table may read all of mq_jobs otherwise.
    cross join lateral (select * from mq_jobs as j where j.id = a.id limit 1) as j
  )
  -- One look at the head of an ordered channel is enough, however many jobs arrived together.
  select
    array_agg(case when not j.ordered then j.id end order by j.place) filter (where not j.ordered or j.nth = 1) as ids,
    array_agg(case when j.ordered then 0 else j.attempts end order by j.place) filter (where not j.ordered or j.nth = 1) as attempts,
    array_agg(case when j.ordered then 0 else j.bytes end order by j.place) filter (where not j.ordered or j.nth = 1) as bytes,
    array_agg(j.flow order by j.place) filter (where not j.ordered or j.nth = 1) as flows,
    array_agg(j.nth order by j.place) filter (where not j.ordered or j.nth = 1) as nths,
    array_agg(j.name order by j.flow) filter (where j.nth = 1) as names,
    array_agg(j.channel_name order by j.flow) filter (where j.nth = 1) as channel_names,
    array_agg(j.channel_args order by j.flow) filter (where j.nth = 1) as channel_args
  into arrivals
  from jobs as j;

  with keys as materialized (
    select f.flow, mq_key(f.name) as name_key, mq_key(f.channel_name) as channel_name_key,
      mq_key(f.channel_name, f.channel_args) as channel_key
    from unnest(arrivals.names, arrivals.channel_names, arrivals.channel_args)
      with ordinality as f (name, channel_name, channel_args, flow)
  )
  select
    array_agg(k.name_key order by k.flow) as name_keys,
    array_agg(k.channel_name_key order by k.flow) as channel_name_keys,
    array_agg(k.channel_key order by k.flow) as channel_keys,
    array_agg(greatest(floor.tag, last.tag + 1) order by k.flow) as tags
  into flows
  from keys as k
  cross join lateral (
    select coalesce((select m.tag from mq_marks as m where not blind and m.name_key = k.name_key order by m.tag desc limit 1), 0) as tag
    limit 1
  ) as mark
  cross join lateral (
    -- Nothing waits: start anew at the end, where no mark hides the row. A mark may have passed base since that was drawn.
    select greatest(mark.tag, coalesce((
      select q.tag from mq_ready as q
      where not blind and q.name_key = k.name_key and q.tag >= mark.tag
      order by q.name_key, q.tag limit 1
    ), base)) as tag
    limit 1
  ) as floor
  cross join lateral (
    -- Equal keys, so that the scan ends where the flow does: a range of rows goes on to the end of its first key when it finds
    -- nothing. The order of nulls names the index by flow, whatever the planner believed when it looked.
    select (
      select q.tag from mq_ready as q
      where not blind
        and q.channel_name_key = k.channel_name_key and q.name_key = k.name_key and q.channel_key = k.channel_key
        and q.tag >= floor.tag
      order by q.tag desc nulls last limit 1
    ) as tag
    limit 1
  ) as last;

  insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, id, attempts, bytes)
  select flows.name_keys[a.flow], flows.tags[a.flow] + a.nth - 1, nextval('mq_position'),
    flows.channel_name_keys[a.flow], flows.channel_keys[a.flow], a.id, a.attempts, a.bytes
  from unnest(arrivals.ids, arrivals.attempts, arrivals.bytes, arrivals.flows, arrivals.nths) as a (id, attempts, bytes, flow, nth);

  perform mq_wake(flows.name_keys, flows.channel_name_keys);
end $$;
comment on function mq_enqueue(uuid[], integer[]) is
  'Makes stored jobs ready, with the attempts they have used: unordered ones get a fair place, ordered ones give their channel a turn. See mq_make_ready for other levels than READ COMMITTED.';

-- For a fair place the jobs of a caller with an older snapshot take the way of delayed ones: a runner makes them ready at once.
create function mq_make_ready(ids uuid[], attempts_used integer[]) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
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
