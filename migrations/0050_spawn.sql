-- Spawn: the job exists if and only if the caller's transaction commits.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Under REPEATABLE READ and SERIALIZABLE a spawn reads nothing at all: its snapshot may be old, and what it read would tie it
-- to every other spawn near by. Its jobs are due at once, and a runner gives them their fair place; a turn goes to the end,
-- where no mark can hide it.
create function mq_spawn_unseeing(
  ids uuid[], names text[], channel_names text[], channel_args text[], ordered boolean[], due_at timestamptz
) returns void
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  insert into mq_scheduled (id, due_at, attempts)
  select n.id, mq_spawn_unseeing.due_at, 0
  from unnest(ids, ordered) as n (id, is_ordered)
  where not n.is_ordered;

  insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, attempts, bytes)
  select mq_key(n.name), nextval('mq_position'), currval('mq_position'), mq_key(n.channel_name),
    mq_key(n.channel_name, n.channel_args), 0, 0
  from (
    select n.name, n.channel_name, n.channel_args
    from unnest(names, channel_names, channel_args, ordered) with ordinality as n (name, channel_name, channel_args, is_ordered, place)
    where n.is_ordered
    group by n.name, n.channel_name, n.channel_args
    order by min(n.place)
  ) as n;

  perform mq_wake(
    array(select mq_key(n) from (select distinct n from unnest(names) as n) as d (n)),
    array(select mq_key(c) from (select distinct c from unnest(channel_names) as c) as d (c))
  );
end $$;
comment on function mq_spawn_unseeing(uuid[], text[], text[], text[], boolean[], timestamptz) is
  'Makes jobs ready that a transaction with a snapshot of its own has stored.';

create function mq_spawn_now(
  ids uuid[], names text[], channel_names text[], channel_args text[], ordered boolean[], bytes integer[], due_at timestamptz
) returns void
  language plpgsql volatile
  set search_path from current
as $$
begin
  if current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
    perform mq_place(ids, array_fill(0, array[cardinality(ids)]), names, channel_names, channel_args, ordered, bytes);
  else
    perform mq_spawn_unseeing(ids, names, channel_names, channel_args, ordered, due_at);
  end if;
end $$;
comment on function mq_spawn_now(uuid[], text[], text[], text[], boolean[], integer[], timestamptz) is
  'Makes jobs ready that this transaction has just stored.';

-- Jobs that are ready now and have no order are written down as runs: one row and its index entries for up to 16 jobs of a flow
-- that arrive together, instead of one for each. A run of large payloads is shorter, so that a claim bounded in bytes can still
-- be cut in steps.
--
-- More would be cheaper still. But a run is served whole, so it is also how long a flow's turn may be.
create function mq_run_length(max_bytes integer) returns integer
  language sql immutable parallel safe
  return greatest(least(16, 16384 / greatest(max_bytes, 1)), 1);
comment on function mq_run_length(integer) is 'Into runs of how many jobs those with payloads of up to max_bytes are put.';

create function mq_spawn_runs(
  ids uuid[], names text[], channel_names text[], channel_args text[], ordered boolean[], retries integer[], backoffs_us bigint[],
  max_backoffs_us bigint[], payloads_json text[], payloads_bytes bytea[]
) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_indexonlyscan = off
as $$
declare
  jobs constant integer := cardinality(ids);
  spawning_at constant timestamptz := mq_now();
  base bigint;
  flows record;
  tags bigint[];
  own_payload_json constant text := case cardinality(payloads_json) when 1 then payloads_json[1] end;
  own_payload_bytes constant bytea := case cardinality(payloads_bytes) when 1 then payloads_bytes[1] end;
  sizes constant integer[] := case
    when cardinality(payloads_json) = 1 and cardinality(payloads_bytes) = 1 then array_fill(
      coalesce(octet_length(own_payload_json), 0) + coalesce(octet_length(own_payload_bytes), 0), array[jobs]
    )
    else array(
      select coalesce(octet_length(coalesce(own_payload_json, payloads_json[n])), 0)
        + coalesce(octet_length(coalesce(own_payload_bytes, payloads_bytes[n])), 0)
      from generate_subscripts(ids, 1) as n
    )
  end;
  run_length constant integer := mq_run_length((select max(size) from unnest(sizes) as size));
  -- What all of them share. To read it out of its array for each, and check it, is a tenth of a spawn of many.
  own_name constant mq_job_name := case when names[1] = all (names) then names[1] end;
  own_channel_name constant mq_channel_name := case when channel_names[1] = all (channel_names) then channel_names[1] end;
  own_channel_args constant mq_channel_args := case when channel_args[1] = all (channel_args) then channel_args[1] end;
  own_max_attempts constant mq_max_attempts := case when retries[1] = all (retries) then retries[1] + 1 end;
  microsecond constant interval := interval '1 microsecond';
  -- Null has a meaning: the usual one.
  backoffs_vary constant boolean := (backoffs_us[1] = all (backoffs_us)) is not true;
  max_backoffs_vary constant boolean := (max_backoffs_us[1] = all (max_backoffs_us)) is not true;
  own_backoff constant mq_pause := nullif(backoffs_us[1] * microsecond, mq_usual_backoff());
  own_max_backoff constant mq_pause := nullif(max_backoffs_us[1] * microsecond, mq_usual_max_backoff());
  is_first_write constant boolean := pg_current_xact_id_if_assigned() is null;
  -- Per job: its run. Null: there is one flow, and runs follow each other.
  run_of integer[];
  run_tags bigint[];
  run_flows integer[];
  positions bigint[];
  stored integer;
  stored_ids uuid[];
begin
  -- See mq_place.
  perform pg_current_xact_id();
  base := nextval('mq_position');
  flows := mq_flows(names, channel_names, channel_args, ordered);
  tags := mq_next_tags(flows.name_keys, flows.channel_name_keys, flows.channel_keys, base);
  if flows.flow_of is null then
    run_tags := array(select tags[1] + first from generate_series(0, jobs - 1, run_length) as first);
  else
    with jobs as (
      select n, flows.flow_of[n] as flow, (flows.nth_of[n] - 1) / run_length as nth_run from generate_subscripts(ids, 1) as n
    ),
    numbered as (
      select j.*, dense_rank() over (order by j.flow, j.nth_run)::integer as run from jobs as j
    ),
    runs as (
      select n.run, n.flow, tags[n.flow] + n.nth_run * run_length as tag from numbered as n group by n.run, n.flow, n.nth_run
    )
    select array(select n.run from numbered as n order by n.n), array_agg(r.tag order by r.run), array_agg(r.flow order by r.run)
    into run_of, run_tags, run_flows
    from runs as r;
  end if;
  -- Drawn after the look: no tag is greater than the position of its row, or it could be above a number that somebody is yet to draw.
  positions := array(select nextval('mq_position') from generate_series(1, cardinality(run_tags)));

  -- To ask for each id whether it is taken costs as much as all else about its row. So many are stored as if none were, in a
  -- subtransaction; and are asked for if one is. Once in a transaction: with many subtransactions it is slow for everybody to see
  -- which of its rows are there.
  if jobs >= 64 and is_first_write then
    begin
      insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
        tag, position, payload_json, payload_bytes)
      select ids[j.n], coalesce(own_name, names[j.n]::mq_job_name),
        coalesce(own_channel_name, channel_names[j.n]::mq_channel_name), coalesce(own_channel_args, channel_args[j.n]::mq_channel_args),
        false, coalesce(own_max_attempts, (retries[j.n] + 1)::mq_max_attempts),
        case when backoffs_vary then nullif(backoffs_us[j.n] * microsecond, mq_usual_backoff())::mq_pause else own_backoff end,
        case when max_backoffs_vary then nullif(max_backoffs_us[j.n] * microsecond, mq_usual_max_backoff())::mq_pause else own_max_backoff end,
        spawning_at, run_tags[j.run], positions[j.run],
        coalesce(own_payload_json, payloads_json[j.n]), coalesce(own_payload_bytes, payloads_bytes[j.n])
      from (select n, coalesce(run_of[n], 1 + (n - 1) / run_length) as run from generate_subscripts(ids, 1) as n) as j;
      stored := jobs;
    exception when unique_violation then
      stored := null;
    end;
  end if;
  if stored is null then
    insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
      tag, position, payload_json, payload_bytes)
    select ids[j.n], coalesce(own_name, names[j.n]::mq_job_name),
      coalesce(own_channel_name, channel_names[j.n]::mq_channel_name), coalesce(own_channel_args, channel_args[j.n]::mq_channel_args),
      false, coalesce(own_max_attempts, (retries[j.n] + 1)::mq_max_attempts),
      case when backoffs_vary then nullif(backoffs_us[j.n] * microsecond, mq_usual_backoff())::mq_pause else own_backoff end,
      case when max_backoffs_vary then nullif(max_backoffs_us[j.n] * microsecond, mq_usual_max_backoff())::mq_pause else own_max_backoff end,
      spawning_at, run_tags[j.run], positions[j.run],
      coalesce(own_payload_json, payloads_json[j.n]), coalesce(own_payload_bytes, payloads_bytes[j.n])
    from (select n, coalesce(run_of[n], 1 + (n - 1) / run_length) as run from generate_subscripts(ids, 1) as n) as j
    on conflict (id) do nothing;
    get diagnostics stored = row_count;
  end if;

  -- The caller's transaction must stay usable, so a taken id is an answer and not an error. Nothing else was written yet.
  if stored < jobs then
    with removed as (
      delete from mq_jobs as j where j.id = any (ids) and j.position = any (positions) returning j.id
    )
    select coalesce(array_agg(r.id), '{}') into stored_ids from removed as r;
    return array(
      select i from unnest(ids) as i group by i having count(*) > 1 or not i = any (stored_ids)
    );
  end if;

  if run_of is null then
    insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, ids, length, lowest_id, attempts, bytes)
    select flows.name_keys[1], run_tags[r.run], positions[r.run], flows.channel_name_keys[1], flows.channel_keys[1],
      r.ids, cardinality(r.ids),
      case when cardinality(r.ids) > 1 then (select i from unnest(r.ids) as i order by i limit 1) end,
      0,
      (select sum(size) from unnest(sizes[(r.run - 1) * run_length + 1 : r.run * run_length]) as size)
    from (
      select run, ids[(run - 1) * run_length + 1 : run * run_length] as ids from generate_subscripts(run_tags, 1) as run
      -- Cut once for what is asked of it.
      offset 0
    ) as r;
  else
    insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, ids, length, lowest_id, attempts, bytes)
    select flows.name_keys[run_flows[r.run]], run_tags[r.run], positions[r.run], flows.channel_name_keys[run_flows[r.run]],
      flows.channel_keys[run_flows[r.run]], r.ids, cardinality(r.ids),
      case when cardinality(r.ids) > 1 then (select i from unnest(r.ids) as i order by i limit 1) end,
      0, r.bytes
    from (
      select run_of[n] as run, array_agg(ids[n] order by n) as ids, sum(sizes[n]) as bytes
      from generate_subscripts(ids, 1) as n
      group by run_of[n]
    ) as r;
  end if;

  perform mq_wake(flows.name_keys, flows.channel_name_keys);
  return '{}';
end $$;
comment on function mq_spawn_runs(uuid[], text[], text[], text[], boolean[], integer[], bigint[], bigint[], text[], bytea[]) is
  'Spawns unordered jobs that are ready at once, in a READ COMMITTED transaction. Answers as mq_spawn_all does.';

create function mq_spawn_all(
  ids uuid[],
  names text[],
  channel_names text[],
  channel_args text[],
  ordered boolean[],
  retries integer[],
  backoffs_us bigint[],
  max_backoffs_us bigint[],
  delays_us bigint[],
  commit_intervals_us bigint[],
  payloads_json text[],
  payloads_bytes bytea[]
) returns uuid[]
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  jobs constant integer := cardinality(ids);
  is_ready_at_once boolean;
  stored record;
  spawning_at constant timestamptz := mq_now();
  later record;
  now record;
begin
  if jobs = 0 then
    return '{}';
  end if;
  -- Read by subscript below.
  if jobs is null or not array_remove(array[
    cardinality(names), cardinality(channel_names), cardinality(channel_args), cardinality(ordered), cardinality(retries),
    cardinality(backoffs_us), cardinality(max_backoffs_us), cardinality(delays_us), cardinality(commit_intervals_us),
    cardinality(payloads_json), cardinality(payloads_bytes)
  ], null) <@ array[1, jobs] or 1 <> any (array[
    array_lower(ids, 1), array_lower(names, 1), array_lower(channel_names, 1), array_lower(channel_args, 1),
    array_lower(ordered, 1), array_lower(retries, 1), array_lower(backoffs_us, 1), array_lower(max_backoffs_us, 1),
    array_lower(delays_us, 1), array_lower(commit_intervals_us, 1), array_lower(payloads_json, 1), array_lower(payloads_bytes, 1)
  ]) then
    raise exception 'the arrays of mq_spawn_all must have one element for each job, or one for all, counted from 1'
      using errcode = 'array_subscript_error';
  end if;

  -- What all of them share may stay as it is where there is one flow to look for.
  is_ready_at_once := coalesce(
    num_nonnulls(variadic commit_intervals_us) = 0 and (0 >= all (delays_us)) is not false and false = all (ordered)
      and current_setting('transaction_isolation') in ('read committed', 'read uncommitted'),
    false
  );
  if jobs > 1 and not (is_ready_at_once and cardinality(names) + cardinality(channel_names) + cardinality(channel_args) = 3) then
    names := case cardinality(names) when 1 then array_fill(names[1], array[jobs]) else names end;
    channel_names := case cardinality(channel_names) when 1 then array_fill(channel_names[1], array[jobs]) else channel_names end;
    channel_args := case cardinality(channel_args) when 1 then array_fill(channel_args[1], array[jobs]) else channel_args end;
    ordered := case cardinality(ordered) when 1 then array_fill(ordered[1], array[jobs]) else ordered end;
  end if;
  if is_ready_at_once then
    return mq_spawn_runs(ids, names, channel_names, channel_args, ordered, retries, backoffs_us, max_backoffs_us, payloads_json,
      payloads_bytes);
  end if;

  if jobs > 1 then
    retries := case cardinality(retries) when 1 then array_fill(retries[1], array[jobs]) else retries end;
    backoffs_us := case cardinality(backoffs_us) when 1 then array_fill(backoffs_us[1], array[jobs]) else backoffs_us end;
    max_backoffs_us := case cardinality(max_backoffs_us) when 1 then array_fill(max_backoffs_us[1], array[jobs]) else max_backoffs_us end;
    delays_us := case cardinality(delays_us) when 1 then array_fill(delays_us[1], array[jobs]) else delays_us end;
    commit_intervals_us := case cardinality(commit_intervals_us) when 1 then array_fill(commit_intervals_us[1], array[jobs]) else commit_intervals_us end;
    payloads_json := case cardinality(payloads_json) when 1 then array_fill(payloads_json[1], array[jobs]) else payloads_json end;
    payloads_bytes := case cardinality(payloads_bytes) when 1 then array_fill(payloads_bytes[1], array[jobs]) else payloads_bytes end;
  end if;
  with stored_jobs as (
    insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
      payload_json, payload_bytes)
    select ids[n], names[n], channel_names[n], channel_args[n], ordered[n], retries[n] + 1,
      nullif(backoffs_us[n] * interval '1 microsecond', mq_usual_backoff()),
      nullif(max_backoffs_us[n] * interval '1 microsecond', mq_usual_max_backoff()), spawning_at,
      payloads_json[n], payloads_bytes[n]
    from generate_subscripts(ids, 1) as n
    on conflict (id) do nothing
    returning id, coalesce(octet_length(payload_json), 0) + coalesce(octet_length(payload_bytes), 0) as bytes
  )
  select coalesce(array_agg(s.id), '{}') as ids, array_agg(s.bytes) as bytes into stored from stored_jobs as s;

  -- The caller's transaction must stay usable, so a taken id is an answer and not an error. Nothing else was written yet.
  if cardinality(stored.ids) < jobs then
    delete from mq_jobs as j where j.id = any (stored.ids);
    return array(
      select i from unnest(ids) as i group by i having count(*) > 1 or not i = any (stored.ids)
    );
  end if;

  if true = any (ordered) then
    insert into mq_line (channel_key, number, id, name_key, channel_name_key, attempts)
    select mq_key(channel_names[o.n], channel_args[o.n]), nextval('mq_number'), ids[o.n], mq_key(names[o.n]), mq_key(channel_names[o.n]), 0
    from (select n from generate_subscripts(ids, 1) as n where ordered[n] order by n) as o;
  end if;

  -- What is left to do is decided per job: held, later, or now.
  if num_nonnulls(variadic commit_intervals_us) = 0 and (0 >= all (delays_us)) is not false then
    perform mq_spawn_now(ids, names, channel_names, channel_args, ordered, stored.bytes, spawning_at);
    return '{}';
  end if;

  perform mq_check_waits(names, delays_us, commit_intervals_us);
  insert into mq_held (id, expires_at, due_at)
  select ids[n],
    spawning_at + commit_intervals_us[n] * interval '1 microsecond',
    spawning_at + coalesce(delays_us[n], 0) * interval '1 microsecond'
  from generate_subscripts(ids, 1) as n
  where commit_intervals_us[n] is not null;

  select array_agg(ids[n] order by n) as ids,
    array_agg(spawning_at + delays_us[n] * interval '1 microsecond' order by n) as due
  into later
  from generate_subscripts(ids, 1) as n
  where commit_intervals_us[n] is null and delays_us[n] > 0;
  if later.ids is not null then
    perform mq_schedule(later.ids, later.due, array_fill(0, array[cardinality(later.ids)]));
  end if;

  select array_agg(ids[n] order by n) as ids, array_agg(names[n] order by n) as names,
    array_agg(channel_names[n] order by n) as channel_names, array_agg(channel_args[n] order by n) as channel_args,
    array_agg(ordered[n] order by n) as ordered, array_agg(stored.bytes[n] order by n) as bytes
  into now
  from generate_subscripts(ids, 1) as n
  where commit_intervals_us[n] is null and coalesce(delays_us[n], 0) <= 0;
  if now.ids is not null then
    perform mq_spawn_now(now.ids, now.names, now.channel_names, now.channel_args, now.ordered, now.bytes, spawning_at);
  end if;
  return '{}';
end $$;
comment on function mq_spawn_all(uuid[], text[], text[], text[], boolean[], integer[], bigint[], bigint[], bigint[], bigint[], text[], bytea[]) is
  'Spawns many jobs in one statement, in the order of the arrays. An array but ids may have one element for all jobs. Returns the ids that are taken already; if there are any, nothing was spawned. A commit interval of null means that the job needs no commit.';

create function mq_spawn_one(
  id uuid, name text, channel_name text, channel_args text, ordered boolean, retries integer, backoff_us bigint,
  max_backoff_us bigint, delay_us bigint, commit_interval_us bigint, payload_json text, payload_bytes bytea
) returns boolean
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
  size constant integer := coalesce(octet_length(payload_json), 0) + coalesce(octet_length(payload_bytes), 0);
  base bigint;
  mark bigint;
  own_name_key bigint;
  own_channel_name_key bigint;
  own_channel_key bigint;
  flow_tag bigint;
  flow_position bigint;
begin
  -- The common case with as few statements as it takes; the others as if they were many.
  if ordered is distinct from false or delay_us > 0 or commit_interval_us is not null
    or current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    return cardinality(mq_spawn_all(
      array[id], array[name], array[channel_name], array[channel_args], array[ordered], array[retries], array[backoff_us],
      array[max_backoff_us], array[delay_us], array[commit_interval_us], array[payload_json], array[payload_bytes]
    )) = 0;
  end if;

  -- See mq_place.
  perform pg_current_xact_id();
  base := nextval('mq_position');
  own_name_key := mq_key(name);
  own_channel_name_key := mq_key(channel_name);
  own_channel_key := mq_key(channel_name, channel_args);
  -- As in mq_next_tags.
  select m.tag into mark from mq_marks as m where m.name_key = own_name_key order by m.tag desc limit 1;
  mark := coalesce(mark, 0);
  select q.tag + coalesce(q.length, 1) into flow_tag
  from mq_ready as q
  where q.channel_name_key = own_channel_name_key and q.name_key = own_name_key and q.channel_key = own_channel_key
    and q.tag >= mark
  order by q.tag desc nulls last limit 1;
  if not found then
    select q.tag into flow_tag from mq_ready as q
    where q.name_key = own_name_key and q.tag >= mark order by q.name_key, q.tag limit 1;
    flow_tag := greatest(mark, coalesce(flow_tag, base));
  end if;
  flow_position := nextval('mq_position');
  -- The caller's transaction must stay usable, so a taken id is an answer and not an error.
  insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
    tag, position, payload_json, payload_bytes)
  values (mq_spawn_one.id, mq_spawn_one.name, mq_spawn_one.channel_name, mq_spawn_one.channel_args, false, retries + 1,
    nullif(backoff_us * interval '1 microsecond', mq_usual_backoff()),
    nullif(max_backoff_us * interval '1 microsecond', mq_usual_max_backoff()), mq_now(),
    flow_tag, flow_position, mq_spawn_one.payload_json, mq_spawn_one.payload_bytes)
  on conflict on constraint mq_jobs_pkey do nothing;
  if not found then
    return false;
  end if;
  insert into mq_ready (name_key, tag, position, channel_name_key, channel_key, ids, attempts, bytes)
  values (own_name_key, flow_tag, flow_position, own_channel_name_key, own_channel_key, array[mq_spawn_one.id], 0, size);
  -- Looked at here as well: to call a function that finds nobody asleep takes as long as all of the look-ups above.
  if mq_is_slept_on(mq_name_bucket(own_name_key)) or mq_is_slept_on(mq_channel_bucket(own_channel_name_key)) then
    perform mq_wake(array[own_name_key], array[own_channel_name_key]);
  end if;
  return true;
end $$;
comment on function mq_spawn_one(uuid, text, text, text, boolean, integer, bigint, bigint, bigint, bigint, text, bytea) is
  'Spawns one job, as mq_spawn_all does. False: the id is taken already, and nothing was spawned.';

create function mq_spawn(
  name text,
  payload json default null,
  payload_bytes bytea default null,
  channel_name text default '',
  channel_args text default '',
  delay interval default interval '0',
  retries integer default 4,
  backoff interval default interval '1 second',
  max_backoff interval default interval '1 hour',
  ordered boolean default false,
  commit_interval interval default null,
  id uuid default null
) returns uuid
  language plpgsql volatile
  set search_path from current
as $$
declare
  job_id constant uuid := coalesce(mq_spawn.id, mq_new_id());
begin
  -- The table takes null for the usual ones, which is not what somebody meant whose own came out as null.
  if backoff is null or max_backoff is null then
    raise exception 'the backoff of job "%" is null', name
      using errcode = 'not_null_violation', hint = 'Leave it out for the usual one.';
  end if;
  if not mq_spawn_one(
    job_id, name, channel_name, channel_args, ordered, retries, mq_microseconds(backoff), mq_microseconds(max_backoff),
    mq_microseconds(delay), mq_microseconds(commit_interval), payload::text, payload_bytes
  ) then
    raise exception 'job id % is taken', job_id
      using errcode = 'unique_violation', table = 'mq_jobs', constraint = 'mq_jobs_pkey';
  end if;
  return job_id;
end $$;
comment on function mq_spawn(text, json, bytea, text, text, interval, integer, interval, interval, boolean, interval, uuid) is
  'Spawns one job from any language, psql or a trigger: select mq_spawn(''name'', ''{"to": 7}''). Returns its id.';

create function mq_microseconds(duration interval) returns bigint
  language sql immutable strict parallel safe
  return greatest(-9000000000000000000, least(9000000000000000000, extract(epoch from duration) * 1000000))::bigint;
comment on function mq_microseconds(interval) is
  'The length of an interval in microseconds (a month counts as 30 days, a year as 365.25). What is too long to be counted is 285,000 years, for a check to find.';
