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
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  jobs constant integer := cardinality(ids);
  stored record;
  spawning_at constant timestamptz := mq_now();
  later record;
  now record;
begin
  if jobs = 0 then
    return '{}';
  end if;
  -- Read by subscript below.
  if jobs <> any (array[
    cardinality(names), cardinality(channel_names), cardinality(channel_args), cardinality(ordered), cardinality(retries),
    cardinality(backoffs_us), cardinality(max_backoffs_us), cardinality(delays_us), cardinality(commit_intervals_us),
    cardinality(payloads_json), cardinality(payloads_bytes)
  ]) or 1 <> any (array[
    array_lower(ids, 1), array_lower(names, 1), array_lower(channel_names, 1), array_lower(channel_args, 1),
    array_lower(ordered, 1), array_lower(retries, 1), array_lower(backoffs_us, 1), array_lower(max_backoffs_us, 1),
    array_lower(delays_us, 1), array_lower(commit_intervals_us, 1), array_lower(payloads_json, 1), array_lower(payloads_bytes, 1)
  ]) then
    raise exception 'the arrays of mq_spawn_all must have one element for each job, counted from 1'
      using errcode = 'array_subscript_error';
  end if;

  with stored_jobs as (
    insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
      payload_json, payload_bytes)
    select ids[n], names[n], channel_names[n], channel_args[n], ordered[n], retries[n] + 1,
      backoffs_us[n] * interval '1 microsecond', max_backoffs_us[n] * interval '1 microsecond', spawning_at,
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
    insert into mq_line (channel_key, number, id, attempts)
    select mq_key(channel_names[o.n], channel_args[o.n]), nextval('mq_number'), ids[o.n], 0
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
  'Spawns many jobs in one statement, in the order of the arrays. Returns the ids that are taken already; if there are any, nothing was spawned. A commit interval of null means that the job needs no commit.';

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
  if cardinality(mq_spawn_all(
    array[job_id], array[name], array[channel_name], array[channel_args], array[ordered], array[retries],
    array[mq_microseconds(backoff)], array[mq_microseconds(max_backoff)], array[mq_microseconds(delay)],
    array[mq_microseconds(commit_interval)], array[payload::text], array[payload_bytes]
  )) > 0 then
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
