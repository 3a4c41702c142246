-- Work: what claimed jobs are to do.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_work_bytes(name text, channel_name text, channel_args text, payload_json text, payload_bytes bytea) returns bigint
  language sql immutable parallel safe
  return 64 + octet_length(name) + octet_length(channel_name) + octet_length(channel_args)
    + coalesce(octet_length(payload_json), 0)::bigint + coalesce(octet_length(payload_bytes), 0);
comment on function mq_work_bytes(text, text, text, text, bytea) is
  'How many bytes what a job is to do takes in an answer, with its id and the lengths of all; 12 more in a claim that says the order too, for which mq_small_bytes leaves room.';

create view mq_first_work as
select w.*, mq_work_bytes(w.name, w.channel_name, w.channel_args, w.payload_json, w.payload_bytes) as bytes
from (
  -- Their own types would make arrays of another type.
  select j.id::uuid as id, j.name::text as name, j.channel_name::text as channel_name, j.channel_args::text as channel_args,
    j.payload_json, j.payload_bytes, j.spawned_at, j.max_attempts::integer as max_attempts
  from mq_jobs as j
) as w;
comment on view mq_first_work is 'What each job was spawned to do: all there is of one that has never been claimed.';

-- Of checkpoints only the job's own: an earlier job of its id may have left one.
create view mq_work as
select w.*, mq_work_bytes(w.name, w.channel_name, w.channel_args, w.payload_json, w.payload_bytes) as bytes
from (
  select f.id, f.name, f.channel_name, f.channel_args,
    coalesce(c.payload_json, f.payload_json) as payload_json,
    coalesce(c.payload_bytes, f.payload_bytes) as payload_bytes,
    f.spawned_at,
    f.max_attempts + coalesce(c.extra_attempts, 0) as max_attempts
  from mq_first_work as f
  left join mq_checkpoints as c on c.id = f.id and c.spawned_at = f.spawned_at
) as w;
comment on view mq_work is 'What each job is to do in its next attempt.';

-- Payloads of small claims come back with the claim: they fit into what any connection takes without its reader (64 KiB, mostly).
-- Whoever is slow to read a larger answer would hold the claim's locks for as long, so those are fetched after its commit.
create function mq_small_bytes() returns integer
  language sql immutable parallel safe
  return 49152;
comment on function mq_small_bytes() is 'Up to how many bytes of what is to be done come back with a claim.';

create function mq_small_payloads(ids uuid[], out names text[], out channel_names text[], out channel_args text[],
  out payloads_json text[], out payloads_bytes bytea[], out max_attempts integer[])
  language plpgsql volatile
  set search_path from current
as $$
declare
  work record;
begin
  -- What is too much whatever the payloads is not looked up twice.
  if 64 * cardinality(ids) > mq_small_bytes() then
    return;
  end if;
  select count(w.id) as jobs, sum(w.bytes) as bytes,
    array_agg(w.name) as names, array_agg(w.channel_name) as channel_names, array_agg(w.channel_args) as channel_args,
    array_agg(w.payload_json) as payloads_json, array_agg(w.payload_bytes) as payloads_bytes,
    array_agg(w.max_attempts) as max_attempts
  into work
  -- In the order of the ids without being sorted: each part needs the one before it, so that this can only be a nested loop.
  from generate_subscripts(ids, 1) as n
  cross join lateral (
    select * from mq_work as w where w.id = ids[n] and w.bytes <= mq_small_bytes() limit 1
  ) as w;
  -- A job may have been removed since.
  if work.bytes <= mq_small_bytes() and work.jobs = cardinality(ids) then
    names := work.names;
    channel_names := work.channel_names;
    channel_args := work.channel_args;
    payloads_json := work.payloads_json;
    payloads_bytes := work.payloads_bytes;
    max_attempts := work.max_attempts;
  end if;
end $$;
comment on function mq_small_payloads(uuid[]) is 'What claimed jobs are to do, in the order of the ids; null if that is more than mq_small_bytes.';

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
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_bitmapscan = off
  set enable_material = off
as $$
begin
  return query
    select w.id, w.name, w.channel_name, w.channel_args, w.payload_json, w.payload_bytes, w.spawned_at, w.max_attempts
    -- In the order of the ids, as in mq_small_payloads; and no join, which might read all of them again for each.
    from generate_subscripts(ids, 1) as n
    cross join lateral (select * from mq_work as w where w.id = ids[n] limit 1) as w;
end $$;
comment on function mq_payloads(uuid[]) is 'What claimed jobs are to do.';

-- What few claims need. A first attempt that a crash of the database forgets is ready again, which is as it should be. A later
-- one must be counted, or a job that crashes the database would do so for ever.
create function mq_secure_claim(runner uuid, claim bigint, ids uuid[], attempts integer[], own_lease interval) returns void
  language plpgsql volatile
  set search_path from current
as $$
begin
  if own_lease is not null then
    insert into mq_leases (id, runner, claim, expires_at)
    select i, mq_secure_claim.runner, mq_secure_claim.claim, mq_now() + own_lease
    from unnest(ids) as i
    on conflict (id) do update
    set runner = excluded.runner, claim = excluded.claim, expires_at = excluded.expires_at;
  end if;
  if 2 <= any (attempts) then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end $$;
comment on function mq_secure_claim(uuid, bigint, uuid[], integer[], interval) is
  'Gives claimed jobs leases of their own, if they are to have some, and makes the claim of a second attempt durable.';
