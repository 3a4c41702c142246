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
  out behind uuid[], out work_ids uuid[], out names text[], out channel_names text[], out channel_args text[],
  out payloads_json text[], out payloads_bytes bytea[], out max_attempts integer[]
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
  waiting uuid[];
  work record;
  started integer[];
  behind_ns integer[] := '{}';
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
    select array_agg(h.n) as ns, array_agg(h.at) as places, coalesce(array_agg(h.id), '{}') as ids, array_agg(h.attempts) as used
    into next
    from (
      select n, head.*
      from generate_subscripts(ended.ids, 1) as n
      cross join lateral (
        select l.ctid as at, l.id, l.name_key, l.attempts from mq_line as l
        where not ended.ids[n] = any (pausing) and l.channel_key = ended.channel_keys[n] order by l.number limit 1
      ) as head
      where name_keys is null or head.name_key = any (name_keys)
    ) as h;
    waiting := array(
      select s.id from mq_scheduled as s where s.id = any (next.ids)
      union all
      select d.id from mq_held as d where d.id = any (next.ids)
    );
    if cardinality(waiting) > 0 then
      select array_agg(x.n) as ns, array_agg(x.at) as places, coalesce(array_agg(x.id), '{}') as ids, array_agg(x.used) as used
      into next
      from unnest(next.ns, next.places, next.ids, next.used) as x (n, at, id, used)
      where not x.id = any (waiting);
    end if;

    -- All in one scan, as far as they fit: a payload is read only then. With what a completion says of each besides, 52 bytes, the answer
    -- stays below 64 KiB.
    select coalesce(array_agg(w.id), '{}') as ids,
      array_agg(w.name) as names, array_agg(w.channel_name) as channel_names, array_agg(w.channel_args) as channel_args,
      array_agg(w.payload_json) as payloads_json, array_agg(w.payload_bytes) as payloads_bytes,
      array_agg(w.max_attempts) as max_attempts
    into work
    from (
      select w.*, sum(w.bytes + 52) over (rows unbounded preceding) as bytes_so_far
      from mq_work as w
      where w.id = any (next.ids) and w.bytes <= mq_small_bytes()
    ) as w
    where w.bytes_so_far <= mq_small_bytes() + 12288;
    if cardinality(work.ids) < cardinality(next.ids) then
      select array_agg(x.n) as ns, array_agg(x.at) as places, coalesce(array_agg(x.id), '{}') as ids, array_agg(x.used) as used
      into next
      from unnest(next.ns, next.places, next.ids, next.used) as x (n, at, id, used)
      where x.id = any (work.ids);
    end if;

    if cardinality(next.ids) > 0 then
      started := (mq_start_heads(mq_claim_next_in_line.runner, mq_claim_next_in_line.claim, next.places, next.ids,
        array_fill(true, array[cardinality(next.ids)]))).started;
      ids := array(select next.ids[n] from unnest(started) as n);
      attempts := array(select next.used[n] + 1 from unnest(started) as n);
      behind_ns := array(select next.ns[n] from unnest(started) as n);
      behind := array(select ended.ids[n] from unnest(behind_ns) as n);
      work_ids := work.ids;
      names := work.names;
      channel_names := work.channel_names;
      channel_args := work.channel_args;
      payloads_json := work.payloads_json;
      payloads_bytes := work.payloads_bytes;
      max_attempts := work.max_attempts;
    end if;
    -- See mq_secure_claim: a completion is durable only if its session is.
    if 2 <= any (attempts) then
      perform set_config('synchronous_commit', 'on', true);
    end if;
  end if;

  if cardinality(behind_ns) < cardinality(ended.ids) then
    select array_agg(ended.name_keys[n]) as name_keys, array_agg(ended.channel_name_keys[n]) as channel_name_keys,
      array_agg(ended.channel_keys[n]) as channel_keys
    into ended
    from (select n from generate_subscripts(ended.ids, 1) as n except select n from unnest(behind_ns) as n) as r;
    perform mq_give_next_turns(ended.name_keys, ended.channel_name_keys, ended.channel_keys);
  end if;
end $$;
comment on function mq_claim_next_in_line(uuid, bigint, bigint[], uuid[], uuid[]) is
  'Takes ended jobs out of their lines, and starts the next in line for this runner, or gives the channel a turn: if that is asked for (pausing), or the next is not for this runner, or somebody is in the way. behind: which ended job each of the ids was behind; work_ids to max_attempts: what they are to do, and perhaps others.';

create function mq_complete_and_claim(
  runner uuid, ids uuid[], claims bigint[], next_claim bigint, name_keys bigint[], pausing uuid[], out completed uuid[], out xid xid8,
  out next_ids uuid[], out next_attempts integer[], out behind uuid[], out work_ids uuid[], out names text[], out channel_names text[],
  out channel_args text[], out payloads_json text[], out payloads_bytes bytea[], out max_attempts integer[]
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
    work_ids := next.work_ids;
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
  'Completes running jobs by their tokens, as mq_complete does that does not wait, and claims the next in line of ordered channels, except behind those that are pausing. (runner, next_claim) is their token and must be new; work_ids to max_attempts: what they are to do, and perhaps others.';
