-- Next in line: whoever completes an ordered job starts the one behind it, in the same transaction.
--
-- Otherwise it gives the channel a turn, which a claim takes up: a row of mq_ready and its index entries, and a second look at the
-- head, for each job; and nothing of that channel runs between the completion and the claim.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- The running row that this transaction has deleted is the lock of its channel: until the end of this transaction whoever looks sees
-- that the job runs, and afterwards that the next one does. So nobody else can start a job of that channel now.
--
-- Nobody is waited for, since the completed jobs are in this transaction's hands: neither for the runner's lease, nor for a head that
-- somebody cancels. Such a channel gets a turn, as all do that do not go on.
--
-- What the next are to do comes back with them, as with a small claim. Those that are too large for that are claimed.
create function mq_claim_next_in_line(
  runner uuid, claim bigint, name_keys bigint[], ended_ids uuid[], pausing uuid[], out ids uuid[], out attempts integer[],
  out behind uuid[], out names text[], out channel_names text[], out channel_args text[], out payloads_json text[],
  out payloads_bytes bytea[], out max_attempts integer[]
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_memoize = off
as $$
declare
  ended record;
  next record;
  started integer[] := '{}';
begin
  ids := '{}';
  with gone as (
    delete from mq_line as l where l.id = any (ended_ids) returning l.id, l.name_key, l.channel_name_key, l.channel_key
  )
  select array_agg(g.id) as ids, array_agg(g.name_key) as name_keys, array_agg(g.channel_name_key) as channel_name_keys,
    array_agg(g.channel_key) as channel_keys
  into ended
  from gone as g;
  if ended.channel_keys is null then
    return;
  end if;

  if mq_hold_lease(mq_claim_next_in_line.runner, mq_claim_next_in_line.claim, false) then
    select array_agg(s.n) as ns, array_agg(s.at) as places, array_agg(s.id) as ids, array_agg(s.attempts) as used,
      array_agg(s.name) as names, array_agg(s.channel_name) as channel_names, array_agg(s.channel_args) as channel_args,
      array_agg(s.payload_json) as payloads_json, array_agg(s.payload_bytes) as payloads_bytes,
      array_agg(s.max_attempts) as max_attempts
    into next
    from (
      select n, head.at, head.attempts, w.*, sum(w.bytes) over (rows unbounded preceding) as bytes_so_far
      from generate_subscripts(ended.ids, 1) as n
      cross join lateral (
        select l.ctid as at, l.id, l.name_key, l.attempts from mq_line as l
        where not ended.ids[n] = any (pausing) and l.channel_key = ended.channel_keys[n] order by l.number limit 1
      ) as head
      cross join lateral (select * from mq_work as w where w.id = head.id and w.bytes <= mq_small_bytes() limit 1) as w
      where (name_keys is null or head.name_key = any (name_keys))
        and (select true from mq_scheduled as s where s.id = head.id limit 1) is null
        and (select true from mq_held as d where d.id = head.id limit 1) is null
    ) as s
    where s.bytes_so_far <= mq_small_bytes();
    if next.ns is not null then
      started := (mq_start_heads(mq_claim_next_in_line.runner, mq_claim_next_in_line.claim, next.places, next.ids,
        array_fill(true, array[cardinality(next.ids)]))).started;
    end if;
    -- Mostly all of them; without the others the arrays have to be made again.
    if cardinality(started) < cardinality(next.ids) then
      select array_agg(x.n) as ns, array_agg(x.id) as ids, array_agg(x.used) as used, array_agg(x.name) as names,
        array_agg(x.channel_name) as channel_names, array_agg(x.channel_args) as channel_args,
        array_agg(x.payload_json) as payloads_json, array_agg(x.payload_bytes) as payloads_bytes,
        array_agg(x.max_attempts) as max_attempts
      into next
      from unnest(next.ns, next.ids, next.used, next.names, next.channel_names, next.channel_args, next.payloads_json,
        next.payloads_bytes, next.max_attempts) with ordinality
        as x (n, id, used, name, channel_name, channel_args, payload_json, payload_bytes, max_attempts, place)
      where x.place = any (started);
    end if;
    started := coalesce(next.ns, '{}');
    ids := coalesce(next.ids, '{}');
    attempts := array(select u + 1 from unnest(next.used) as u);
    behind := array(select ended.ids[n] from unnest(next.ns) as n);
    -- See mq_secure_claim: a completion is durable only if its session is.
    if 2 <= any (attempts) then
      perform set_config('synchronous_commit', 'on', true);
    end if;
    names := next.names;
    channel_names := next.channel_names;
    channel_args := next.channel_args;
    payloads_json := next.payloads_json;
    payloads_bytes := next.payloads_bytes;
    max_attempts := next.max_attempts;
  end if;

  if cardinality(started) < cardinality(ended.ids) then
    select array_agg(ended.name_keys[n]) as name_keys, array_agg(ended.channel_name_keys[n]) as channel_name_keys,
      array_agg(ended.channel_keys[n]) as channel_keys
    into ended
    from (select n from generate_subscripts(ended.ids, 1) as n except select n from unnest(started) as n) as r;
    perform mq_give_next_turns(ended.name_keys, ended.channel_name_keys, ended.channel_keys);
  end if;
end $$;
comment on function mq_claim_next_in_line(uuid, bigint, bigint[], uuid[], uuid[]) is
  'Takes ended jobs out of their lines, and starts the next in line for this runner, or gives the channel a turn: if that is asked for (pausing), or the next is not for this runner, or somebody is in the way. behind: which ended job each of the ids was behind; names to max_attempts: what they are to do.';

create function mq_complete_and_claim(
  runner uuid, ids uuid[], claims bigint[], next_claim bigint, name_keys bigint[], pausing uuid[], out completed uuid[], out xid xid8,
  out next_ids uuid[], out next_attempts integer[], out behind uuid[], out names text[], out channel_names text[], out channel_args text[],
  out payloads_json text[], out payloads_bytes bytea[], out max_attempts integer[]
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
  ended record;
  next record;
begin
  perform mq_require_read_committed();
  next_ids := '{}';
  ended := mq_end_running(mq_complete_and_claim.runner, ids, claims, false);
  if ended.ordered is not null then
    next := mq_claim_next_in_line(mq_complete_and_claim.runner, next_claim, name_keys, ended.ordered, pausing);
    next_ids := coalesce(next.ids, '{}');
    next_attempts := next.attempts;
    behind := next.behind;
    names := next.names;
    channel_names := next.channel_names;
    channel_args := next.channel_args;
    payloads_json := next.payloads_json;
    payloads_bytes := next.payloads_bytes;
    max_attempts := next.max_attempts;
  end if;
  completed := mq_forget(ended.ended);
  xid := pg_current_xact_id_if_assigned();
end $$;
comment on function mq_complete_and_claim(uuid, uuid[], bigint[], bigint, bigint[], uuid[]) is
  'Completes running jobs by their tokens, as mq_complete does that does not wait, and claims the next in line of ordered channels, except behind those that are pausing. (runner, next_claim) is their token and must be new; names to max_attempts: what they are to do.';
