-- Checkpoint and keep-alive: what a running job says about itself. Both are fenced, and neither touches the job row.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_checkpoint(
  runner uuid, id uuid, claim bigint, payload_json text, payload_bytes bytea, extra_retries integer, keep_alive interval,
  out done boolean, out xid xid8
)
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  perform from mq_running as r
  where r.runner = mq_checkpoint.runner and r.claim = mq_checkpoint.claim and r.id = mq_checkpoint.id
  for update;
  done := found;
  if done then
    insert into mq_checkpoints as c (id, spawned_at, payload_json, payload_bytes, extra_attempts)
    select j.id, j.spawned_at, mq_checkpoint.payload_json, mq_checkpoint.payload_bytes, extra_retries
    from mq_jobs as j
    where j.id = mq_checkpoint.id
    on conflict on constraint mq_checkpoints_pkey do update
    set spawned_at = excluded.spawned_at,
      payload_json = coalesce(excluded.payload_json, case when c.spawned_at = excluded.spawned_at then c.payload_json end),
      payload_bytes = coalesce(excluded.payload_bytes, case when c.spawned_at = excluded.spawned_at then c.payload_bytes end),
      extra_attempts = least(
        case when c.spawned_at = excluded.spawned_at then c.extra_attempts::bigint else 0 end + excluded.extra_attempts, 1000000
      )::integer;
    if keep_alive > interval '0' then
      perform mq_own_lease(mq_checkpoint.runner, mq_checkpoint.id, mq_checkpoint.claim, keep_alive);
    end if;
  end if;
  xid := pg_current_xact_id_if_assigned();
end $$;
comment on function mq_checkpoint(uuid, uuid, bigint, text, bytea, integer, interval) is
  'Stores what the next attempt starts from, in the caller''s transaction. A null payload keeps what was there. done = false: the lease is lost and nothing was stored.';

create function mq_own_lease(runner uuid, id uuid, claim bigint, duration interval) returns void
  language sql volatile
  set search_path from current
as $$
  insert into mq_leases (id, runner, claim, expires_at)
  values (mq_own_lease.id, mq_own_lease.runner, mq_own_lease.claim, mq_now() + duration)
  on conflict (id) do update
  set runner = excluded.runner, claim = excluded.claim, expires_at = excluded.expires_at
$$;
comment on function mq_own_lease(uuid, uuid, bigint, interval) is 'Sets the own lease of a running job. The caller holds its fence.';

create function mq_keep_alive(runner uuid, id uuid, claim bigint, duration interval) returns boolean
  language plpgsql volatile
  set search_path from current
  set plan_cache_mode = force_generic_plan
  set jit = off
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
begin
  perform from mq_running as r
  where r.runner = mq_keep_alive.runner and r.claim = mq_keep_alive.claim and r.id = mq_keep_alive.id
  for update;
  if not found then
    return false;
  end if;
  perform mq_own_lease(mq_keep_alive.runner, mq_keep_alive.id, mq_keep_alive.claim, duration);
  return true;
end $$;
comment on function mq_keep_alive(uuid, uuid, bigint, interval) is
  'Gives a running job a lease of its own, from now on. False: the lease is lost already.';
