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
  stored uuid[];
  spawning_at constant timestamptz := mq_now();
  later record;
  now record;
begin
  with stored_jobs as (
    insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
      payload_json, payload_bytes)
    select n.id, n.name, n.channel_name, n.channel_args, n.ordered, n.retries + 1,
      n.backoff_us * interval '1 microsecond', n.max_backoff_us * interval '1 microsecond', spawning_at,
      n.payload_json, n.payload_bytes
    from unnest(ids, names, channel_names, channel_args, ordered, retries, backoffs_us, max_backoffs_us, payloads_json,
      payloads_bytes) as n (id, name, channel_name, channel_args, ordered, retries, backoff_us, max_backoff_us, payload_json,
      payload_bytes)
    on conflict (id) do nothing
    returning id
  )
  select coalesce(array_agg(s.id), '{}') into stored from stored_jobs as s;

  -- The caller's transaction must stay usable, so a taken id is an answer and not an error. Nothing else was written yet.
  if cardinality(stored) < cardinality(ids) then
    delete from mq_jobs as j where j.id = any (stored);
    return array(
      select i from unnest(ids) as i group by i having count(*) > 1 or not i = any (stored)
    );
  end if;

  if true = any (ordered) then
    insert into mq_line (channel_key, number, id, attempts)
    select mq_key(n.channel_name, n.channel_args), nextval('mq_number'), n.id, 0
    from unnest(ids, channel_names, channel_args, ordered) with ordinality as n (id, channel_name, channel_args, ordered, place)
    where n.ordered
    order by n.place;
  end if;

  -- What is left to do is decided per job: held, later, or now.
  if num_nonnulls(variadic commit_intervals_us) > 0 then
    insert into mq_held (id, expires_at, due_at)
    select n.id,
      spawning_at + n.commit_interval_us * interval '1 microsecond',
      spawning_at + coalesce(n.delay_us, 0) * interval '1 microsecond'
    from unnest(ids, delays_us, commit_intervals_us) as n (id, delay_us, commit_interval_us)
    where n.commit_interval_us is not null;
  end if;

  if 0 < any (delays_us) then
    select array_agg(n.id order by n.place) as ids,
      array_agg(spawning_at + n.delay_us * interval '1 microsecond' order by n.place) as due
    into later
    from unnest(ids, delays_us, commit_intervals_us) with ordinality as n (id, delay_us, commit_interval_us, place)
    where n.commit_interval_us is null and n.delay_us > 0;
    if later.ids is not null then
      perform mq_schedule(later.ids, later.due, array_fill(0, array[cardinality(later.ids)]));
    end if;
  end if;

  select array_agg(n.id order by n.place) as ids,
    array_agg(n.name order by n.place) as names,
    array_agg(n.channel_name order by n.place) as channel_names,
    array_agg(n.channel_args order by n.place) as channel_args,
    array_agg(n.is_ordered order by n.place) as ordered
  into now
  from unnest(ids, names, channel_names, channel_args, ordered, delays_us, commit_intervals_us)
    with ordinality as n (id, name, channel_name, channel_args, is_ordered, delay_us, commit_interval_us, place)
  where n.commit_interval_us is null and coalesce(n.delay_us, 0) <= 0;
  if now.ids is null then
    null;
  elsif current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
    perform mq_enqueue(now.ids, array_fill(0, array[cardinality(now.ids)]));
  else
    perform mq_spawn_unseeing(now.ids, now.names, now.channel_names, now.channel_args, now.ordered, spawning_at);
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
  return (extract(epoch from duration) * 1000000)::bigint;
comment on function mq_microseconds(interval) is 'The length of an interval in microseconds (a month counts as 30 days).';
