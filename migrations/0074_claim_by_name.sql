-- Claim by name, for a runner that takes all channels.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- A runner that takes every name skips from one to the next.
create function mq_all_names() returns bigint[]
  language plpgsql volatile
  set search_path from current
as $$
declare
  names bigint[] := '{}';
  name bigint := -9223372036854775808;
begin
  loop
    select q.name_key into name from mq_ready as q where q.name_key > name order by q.name_key limit 1;
    exit when not found;
    names := names || name;
  end loop;
  return names;
end $$;
comment on function mq_all_names() is 'The names that have ready rows.';

-- Its settings hold for the functions it calls as well, mq_claim_many and mq_is_due among them: to set them is what those would spend a
-- good part of their time on.
--
-- What a claim mostly finds in a queue with little to do is nothing, or one job, and whoever spawned that waits for it. To start a
-- statement costs more than its work then, so that is looked for first, by statements of few parts.
create function mq_claim_by_name(
  runner uuid,
  claim bigint,
  max_jobs integer,
  max_bytes bigint,
  name_keys bigint[],
  sweep boolean,
  own_lease interval,
  asleep boolean,
  out ids uuid[],
  out attempts integer[],
  out more boolean,
  out expired boolean,
  out due boolean,
  out work_ids uuid[],
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
  set enable_sort = off
  set enable_indexonlyscan = off
  set jit = off
as $$
declare
  -- One mark for about 256 rows: often enough to keep the walk short, rare enough to cost nothing.
  marking constant double precision := case when sweep then 0 else random() * 256 end;
  first_name bigint;
  near record;
  many record;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    perform mq_require_read_committed();
  end if;
  if name_keys is null then
    -- Mostly there is one.
    select q.name_key into first_name from mq_ready as q order by q.name_key limit 1;
    name_keys := case
      when not found then '{}'
      when (select true from mq_ready as q where q.name_key > first_name order by q.name_key limit 1) then mq_all_names()
      else array[first_name]
    end;
  end if;
  ids := '{}';
  attempts := '{}';
  more := false;
  expired := false;

  -- Not for one job of several names: it would be of the first each time.
  if marking >= 1 and own_lease is null and (max_jobs > 1 or cardinality(name_keys) = 1) then
    select count(*) as rows, min(own.at) as at, min(own.length) as length, min(own.bytes) as bytes, array_agg(own.id) as ids
    into near
    from (
      select own.*
      from unnest(name_keys) as k
      left join lateral (select m.tag from mq_marks as m where m.name_key = k order by m.tag desc limit 1) as mark on true
      cross join lateral (
        select q.ctid as at, q.bytes, q.ids[1] as id, cardinality(q.ids) as length
        from mq_ready as q
        where q.name_key = k and q.tag >= coalesce(mark.tag, -9223372036854775808)
        order by q.tag, q.position
        limit least(max_jobs, 2)
        for update skip locked
      ) as own
      limit least(max_jobs, 2)
    ) as own;
    if near.rows = 0 then
      due := asleep and mq_is_due();
      return;
    end if;
    -- A job that is in a run has never been claimed: it has left no checkpoint to look for, and a first attempt need not be claimed
    -- durably. And whatever its names and arguments, it is small.
    if near.rows = 1 and near.length = 1 and near.bytes <= least(max_bytes, mq_small_bytes() - 20480) then
      expired := not mq_hold_lease(mq_claim_by_name.runner, mq_claim_by_name.claim);
      if expired then
        return;
      end if;
      delete from mq_ready as q where q.ctid = near.at;
      insert into mq_running (runner, claim, id, attempt)
      values (mq_claim_by_name.runner, mq_claim_by_name.claim, near.ids[1], 1);
      ids := near.ids;
      attempts := '{1}';
      more := max_jobs = 1;
      select array[w.name], array[w.channel_name], array[w.channel_args], array[w.payload_json], array[w.payload_bytes],
        array[w.max_attempts]
      into names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts
      from mq_first_work as w
      where w.id = near.ids[1];
      return;
    end if;
  end if;

  many := mq_claim_many(mq_claim_by_name.runner, mq_claim_by_name.claim, max_jobs, max_bytes, name_keys, sweep, marking, own_lease);
  ids := many.ids;
  attempts := many.attempts;
  more := many.more;
  expired := many.expired;
  work_ids := many.work_ids;
  names := many.names;
  channel_names := many.channel_names;
  channel_args := many.channel_args;
  payloads_json := many.payloads_json;
  payloads_bytes := many.payloads_bytes;
  max_attempts := many.max_attempts;
  if cardinality(ids) = 0 then
    due := asleep and mq_is_due();
  end if;
end $$;
comment on function mq_claim_by_name(uuid, bigint, integer, bigint, bigint[], boolean, interval, boolean) is
  'Claims up to max_jobs ready jobs of about max_bytes of payload for a runner that takes all channels, by the keys of names (null: all). (runner, claim) is their token and must be new. more: there may be more to claim. expired: the runner''s lease is over, nothing was claimed. due: nothing was claimed for a runner that says it is asleep, but there is something for mq_promote. names to max_attempts: what the jobs are to do; null if that is much: ask mq_payloads. work_ids: in which order; null if it is that of ids.';
