-- Claim: ready rows become running ones, in the order of their tags.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Payloads of small claims come back with the claim: with the ids they fit into what any connection takes without its reader.
-- Whoever is slow to read a larger answer would hold the claim's locks for as long, so those are fetched after its commit.
create function mq_small_payloads(ids uuid[], out names text[], out channel_names text[], out channel_args text[],
  out payloads_json text[], out payloads_bytes bytea[], out max_attempts integer[])
  language plpgsql volatile
  set search_path from current
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
    left join lateral (
      select * from mq_checkpoints as c where c.id = ids[n] and c.spawned_at = j.spawned_at limit 1
    ) as c on true
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

-- Its settings hold for the functions it calls as well: to set them is what those would spend a good part of their time on.
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
  payloads record;
  stopped_at constant bigint := after_channel;
  nth integer;
  -- One mark for about 256 rows: often enough to keep the walk short, rare enough to cost nothing.
  marking constant double precision := case when sweep then 0 else random() * 256 end;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    perform mq_require_read_committed();
  end if;
  ids := '{}';
  attempts := '{}';
  more := false;
  expired := false;
  if max_jobs <= 0 then
    return;
  end if;

  -- Look before locking anything: an idle runner costs no transaction id.
  if channel_name_keys is null then
    ready := mq_ready_names(name_keys, sweep);
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
    taken := mq_take_by_name(mq_claim.runner, mq_claim.claim, ready.names, ready.from_tags, max_jobs, max_bytes);
  else
    select p.rows, p.after_channel into picked, mq_claim.after_channel
    from mq_pick_by_channel(name_keys, channel_name_keys, max_jobs, max_bytes, mq_claim.after_channel) as p;
    taken := mq_take_jobs(mq_claim.runner, mq_claim.claim, picked);
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

  payloads := mq_small_payloads(ids);
  names := payloads.names;
  channel_names := payloads.channel_names;
  channel_args := payloads.channel_args;
  payloads_json := payloads.payloads_json;
  payloads_bytes := payloads.payloads_bytes;
  max_attempts := payloads.max_attempts;
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
    left join mq_checkpoints as c on c.id = i.id and c.spawned_at = j.spawned_at
    order by i.place;
end $$;
comment on function mq_payloads(uuid[]) is 'What claimed jobs are to do.';
