-- Wake-ups: NOTIFY only if a runner sleeps.
--
-- NOTIFY takes a database-wide lock in every commit, which costs a busy queue most of its inserts. So a runner that goes to
-- sleep says so by holding shared advisory locks on its wake buckets, and a spawn probes them. A hint that gets lost costs
-- one poll interval, never a job.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_name_bucket(name_key bigint) returns integer
  language sql immutable parallel safe
  return (name_key & 63)::integer;
comment on function mq_name_bucket(bigint) is 'The wake bucket of a name.';

create function mq_channel_bucket(channel_name_key bigint) returns integer
  language sql immutable parallel safe
  return 64 + (channel_name_key & 63)::integer;
comment on function mq_channel_bucket(bigint) is 'The wake bucket of a channel name.';

-- Probe and unlock in one expression: a cancellation between two statements would leak the lock.
create function mq_is_slept_on(bucket integer) returns boolean
  language sql volatile
  return not case
    when pg_try_advisory_lock(mq_lock_base() + bucket) then pg_advisory_unlock(mq_lock_base() + bucket)
    else false
  end;
comment on function mq_is_slept_on(integer) is 'Whether a runner sleeps on this wake bucket.';

create function mq_wake(name_keys bigint[], channel_name_keys bigint[]) returns void
  language plpgsql volatile
  set search_path from current
as $$
declare
  buckets integer[];
  bucket integer;
  is_slept_on boolean := false;
begin
  -- NOTIFY is refused in a prepared transaction, so a caller may switch it off.
  if current_setting('sqlxmq.notify', true) = 'off' then
    return;
  end if;
  buckets := array[mq_name_bucket(name_keys[1]), mq_channel_bucket(channel_name_keys[1])];
  if cardinality(name_keys) > 1 or cardinality(channel_name_keys) > 1 then
    buckets := array(
      select mq_name_bucket(n) from unnest(name_keys) as n union select mq_channel_bucket(c) from unnest(channel_name_keys) as c
    );
  end if;
  foreach bucket in array buckets loop
    is_slept_on := mq_is_slept_on(bucket);
    exit when is_slept_on;
  end loop;
  -- A queue of notifications that fills up would make commits fail: some listener does not read.
  if is_slept_on and pg_notification_queue_usage() < 0.5 then
    perform pg_notify(mq_wake_channel(), bucket::text);
  end if;
end $$;
comment on function mq_wake(bigint[], bigint[]) is
  'Notifies sleeping runners, if there are any for these names or channel names. The setting sqlxmq.notify = off switches it off.';

create function mq_sleep(buckets integer[]) returns boolean
  language plpgsql volatile
  set search_path from current
as $$
declare
  base constant bigint := mq_lock_base();
  bucket integer;
  taken integer[] := '{}';
begin
  foreach bucket in array buckets loop
    -- Fails only while a spawn probes this very bucket, which takes microseconds.
    if not pg_try_advisory_lock_shared(base + bucket) then
      perform pg_advisory_unlock_shared(base + t) from unnest(taken) as t;
      return false;
    end if;
    taken := taken || bucket;
  end loop;
  return true;
end $$;
comment on function mq_sleep(integer[]) is
  'Says that this session''s runner is about to sleep: spawns into these wake buckets notify from now on. False: a probe was in the way, try again.';

create function mq_awaken(buckets integer[]) returns void
  language sql volatile
  set search_path from current
as $$
  select pg_advisory_unlock_shared(mq_lock_base() + bucket) from unnest(buckets) as bucket
$$;
comment on function mq_awaken(integer[]) is 'Takes back mq_sleep with the same buckets.';

-- Whatever makes a job ready or due writes to one of these tables before it probes for sleepers, and keeps its lock on the table until
-- after it is visible. So what probed before this session slept, and is not visible yet, is in this list: a spawn, a commit
-- of held jobs, a requeue. Claims are too, but those end soon.
create function mq_in_flight() returns text[]
  language sql volatile
  set search_path from current
as $$
  select coalesce(array_agg(distinct l.virtualtransaction), '{}')
  from pg_locks as l
  where l.locktype = 'relation'
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and l.relation in ('mq_ready'::regclass, 'mq_scheduled'::regclass)
    and l.mode = 'RowExclusiveLock'
    and l.pid is distinct from pg_backend_pid()
$$;
comment on function mq_in_flight() is 'The open transactions that may have made a job ready or due that this session can''t see yet.';
