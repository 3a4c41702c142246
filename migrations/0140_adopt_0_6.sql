-- Adopt: every job of sqlxmq 0.6 that is in this schema, in this one transaction. Without its tables nothing happens here.
--
-- What 0.6 kept of a job: attempt_at, when it is next due (null: never again); attempts, how many are left; retry_backoff, the
-- wait after the next one. A claim only moved attempt_at on, so a job that backs off and one that runs look the same. An
-- ordered job names the one before it in after_message_id, which is the nil uuid for the first and null for an unordered job.
-- A job with a commit_interval waits for its commit until attempt_at.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Refuse what can't be moved, before anything is.
do $$
declare
  -- 100 times half a second and a pause: about a minute.
  tries_left integer := 100;
  users_lock_timeout constant text := current_setting('lock_timeout');
  found_count bigint;
  found_list text;
  old_index regclass;
begin
  if to_regclass('mq_msgs') is null and to_regclass('mq_payloads') is null then
    select string_agg(quote_ident(n.nspname), ', ' order by n.nspname) into found_list
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relname = 'mq_msgs' and c.relkind = 'r';
    if found_list is not null then
      raise warning 'the tables of sqlxmq 0.6 in schema % are left alone: this queue is in schema %', found_list, quote_ident(current_schema())
        using hint = 'To move their jobs, migrate with that schema as the first of the search path.';
    end if;
    return;
  end if;
  -- With a snapshot from before the lock, jobs spawned in between would be dropped with the tables.
  perform mq_require_read_committed();

  -- Producers of 0.6 lock the two tables in either order. So no request waits long enough to be part of a deadlock, or to
  -- hold up the producers behind it.
  loop
    begin
      perform set_config('lock_timeout', '500ms', true);
      lock table mq_payloads, mq_msgs in access exclusive mode;
      exit;
    exception when lock_not_available or deadlock_detected then
      tries_left := tries_left - 1;
    end;
    if tries_left = 0 then
      select string_agg(distinct format('%s (%s)', a.pid, coalesce(nullif(a.application_name, ''), a.usename)), ', ') into found_list
      from pg_locks as l
      join pg_stat_activity as a on a.pid = l.pid
      where l.granted and l.relation in ('mq_msgs'::regclass, 'mq_payloads'::regclass);
      raise exception 'the tables of sqlxmq 0.6 are in use'
        using errcode = 'lock_not_available', detail = format('By the server processes %s.', found_list),
          hint = 'Stop the runners of 0.6, end long transactions, and migrate again.';
    end if;
    perform pg_sleep(0.1);
  end loop;
  perform set_config('lock_timeout', users_lock_timeout, true);

  -- Their predicates call uuid_nil() by its bare name. Where its extension is in another schema, no statement that reads the
  -- table could be planned.
  for old_index in
    select i.indexrelid from pg_index as i where i.indrelid = 'mq_msgs'::regclass and i.indpred is not null
  loop
    execute format('drop index %s', old_index);
  end loop;

  with refused as (
    select m.id,
      case
        when p.id is null then 'has no row in mq_payloads, so no name'
        when p.name = '' then 'has an empty name'
        when octet_length(p.name) > 1024 then format('has a name of %s bytes, more than 1024', octet_length(p.name))
        when octet_length(m.channel_name) > 1024
          then format('has a channel name of %s bytes, more than 1024', octet_length(m.channel_name))
        when octet_length(m.channel_args) > 16384
          then format('has channel arguments of %s bytes, more than 16384', octet_length(m.channel_args))
        -- Less than a megabyte is not unpacked to be measured: it can't become 256.
        when coalesce(octet_length(p.payload_bytes), 0)::bigint
          + case when pg_column_size(p.payload_json) > 1048576 then octet_length(p.payload_json::text) else 0 end > 268435456
          then 'has a payload of more than 256 MiB'
      end as reason
    from mq_msgs as m
    left join mq_payloads as p on p.id = m.id
    where m.id <> '00000000-0000-0000-0000-000000000000'
  )
  select count(*), string_agg(format('Job %s %s.', r.id, r.reason), ' ') filter (where r.nth <= 10)
  into found_count, found_list
  from (
    select f.id, f.reason, row_number() over (order by f.id) as nth from refused as f where f.reason is not null
  ) as r;
  if found_count > 0 then
    raise exception '% jobs of sqlxmq 0.6 are out of bounds, so none was moved', found_count
      using errcode = 'check_violation', detail = found_list,
        hint = '0.6 goes on as before. Change these rows of mq_msgs and mq_payloads, or remove them with "select mq_delete(array[''<id>'']::uuid[])", and migrate again.';
  end if;
end $$;

-- Move.
do $$
declare
  moving_at constant timestamptz := mq_now();
  -- Further away than this nothing may be due: the queue calculates with these times.
  latest constant timestamptz := moving_at + interval '100 years';
  users_hashjoin constant text := current_setting('enable_hashjoin');
  users_mergejoin constant text := current_setting('enable_mergejoin');
  batch record;
begin
  if to_regclass('mq_msgs') is null then
    return;
  end if;

  create unlogged table mq_adopted_chain (
    id uuid not null,
    step integer not null
  );
  -- A chain is followed job by job, by index: any other join would read the whole table at each step.
  perform set_config('enable_hashjoin', 'off', true);
  perform set_config('enable_mergejoin', 'off', true);
  with recursive chain as (
    select m.id, m.channel_name, m.channel_args, 1 as step
    from mq_msgs as m
    where m.after_message_id = '00000000-0000-0000-0000-000000000000'
    union all
    select m.id, m.channel_name, m.channel_args, c.step + 1
    from chain as c
    join mq_msgs as m on m.channel_name = c.channel_name and m.channel_args = c.channel_args and m.after_message_id = c.id
  )
  insert into mq_adopted_chain (id, step)
  select c.id, c.step from chain as c;
  perform set_config('enable_hashjoin', users_hashjoin, true);
  perform set_config('enable_mergejoin', users_mergejoin, true);

  create unlogged table mq_adopted (
    id uuid not null,
    state text not null,
    due_at timestamptz not null,
    expires_at timestamptz,
    channel_key bigint,
    number bigint
  );
  with judged as (
    select m.id, m.created_at, m.channel_name, m.channel_args,
      m.after_message_id is not null as ordered,
      case
        when m.commit_interval is not null then 'held'
        when m.attempt_at is null then 'dead'
        when m.attempt_at > moving_at then 'scheduled'
        else 'ready'
      end as state,
      -- Seconds, because 0.6 added them up as days, and a day may have 25 hours.
      least(latest, coalesce(
        m.attempt_at - make_interval(secs => coalesce(extract(epoch from m.commit_interval), 0)::double precision), moving_at
      )) as due_at,
      case when m.commit_interval is not null then least(latest, coalesce(m.attempt_at, moving_at)) end as expires_at
    from mq_msgs as m
    where m.id <> '00000000-0000-0000-0000-000000000000'
  )
  insert into mq_adopted (id, state, due_at, expires_at, channel_key, number)
  select j.id, j.state, j.due_at, j.expires_at,
    case when j.ordered then mq_key(j.channel_name, j.channel_args) end,
    case when j.ordered then nextval('mq_number') end
  from (
    -- 0.6 made no ordered job that hangs on no chain. Whoever did wants it to run, so it comes last.
    select d.*
    from judged as d
    left join mq_adopted_chain as c on c.id = d.id
    order by c.step nulls last, d.created_at, d.id
  ) as j;
  drop table mq_adopted_chain;

  insert into mq_jobs (id, name, channel_name, channel_args, ordered, max_attempts, backoff, max_backoff, spawned_at,
    payload_json, payload_bytes)
  select m.id, p.name, m.channel_name, m.channel_args, m.after_message_id is not null,
    -- 0.6 did not keep how many attempts were used, so those left are all. It retried a job without end if there were too many
    -- retries to count, or a checkpoint in the last attempt. For one that is out of attempts: the default, if it is requeued.
    case
      when m.attempts >= 1 then least(m.attempts, 1000001)
      when m.attempt_at is null then 5
      else 1000001
    end,
    w.backoff,
    -- 0.6 had no cap, and nobody expects to be retried sooner than before.
    greatest(w.backoff, interval '1 hour'),
    coalesce(m.created_at, moving_at),
    p.payload_json::text,
    p.payload_bytes
  from mq_msgs as m
  join mq_payloads as p on p.id = m.id
  cross join lateral (
    select greatest(least(m.retry_backoff, interval '100 years'), interval '0') as backoff
  ) as w
  where m.id <> '00000000-0000-0000-0000-000000000000';

  insert into mq_line (channel_key, number, id, name_key, channel_name_key, attempts)
  select a.channel_key, a.number, a.id, mq_key(j.name), mq_key(j.channel_name), 0
  from mq_adopted as a
  join mq_jobs as j on j.id = a.id
  where a.number is not null and a.state <> 'dead'
  order by a.number;

  insert into mq_held (id, expires_at, due_at)
  select a.id, a.expires_at, a.due_at
  from mq_adopted as a
  where a.state = 'held';

  insert into mq_dead (id, died_at, attempts, number)
  select a.id, moving_at, 0, a.number
  from mq_adopted as a
  where a.state = 'dead';

  insert into mq_errors (id, attempt, failed_at, error)
  select a.id, 0, moving_at,
    case
      when m.attempts >= 1 then 'sqlxmq 0.6 would never have run this job: it was spawned with a delay of null'
      else 'out of attempts in sqlxmq 0.6, which kept neither their number nor their errors'
    end
  from mq_adopted as a
  join mq_msgs as m on m.id = a.id
  where a.state = 'dead';

  for batch in
    select array_agg(s.id order by s.place) as ids, array_agg(s.due_at order by s.place) as due
    from (
      select a.id, a.due_at, row_number() over (order by a.due_at, a.id) as place
      from mq_adopted as a
      where a.state = 'scheduled'
    ) as s
    group by (s.place - 1) / 10000
    order by (s.place - 1) / 10000
  loop
    perform mq_schedule(batch.ids, batch.due, array_fill(0, array[cardinality(batch.ids)]));
  end loop;

  -- Of an ordered channel only the head needs a turn; the others get theirs when the one before them ends.
  for batch in
    select array_agg(s.id order by s.place) as ids
    from (
      select a.id, row_number() over (order by a.due_at, a.id) as place
      from mq_adopted as a
      left join (
        select l.channel_key, min(l.number) as number from mq_line as l group by l.channel_key
      ) as head on head.channel_key = a.channel_key
      where a.state = 'ready' and a.number is not distinct from head.number
    ) as s
    group by (s.place - 1) / 10000
    order by (s.place - 1) / 10000
  loop
    perform mq_enqueue(batch.ids, array_fill(0, array[cardinality(batch.ids)]));
  end loop;

  drop table mq_adopted;
end $$;

-- Replace: the old tables and functions go, and what producers of 0.6 call while a new version is rolled out is there again.
do $$
declare
  producer name;
  -- Logins of their own that could spawn with 0.6.
  producers constant name[] := array(
    select distinct pg_get_userbyid(a.grantee)
    from pg_class as c
    cross join lateral aclexplode(c.relacl) as a
    where c.oid = to_regclass('mq_msgs') and a.privilege_type = 'INSERT' and a.grantee not in (0, c.relowner)
  );
begin
  if to_regclass('mq_msgs') is null then
    return;
  end if;

  drop table mq_msgs, mq_payloads;
  drop function if exists mq_poll(text[], integer);
  drop function if exists mq_active_channels(text[], integer);
  drop function if exists mq_latest_message(text, text);
  drop function if exists mq_uuid_exists(uuid);
  drop function if exists mq_delete(uuid[]);
  drop function if exists mq_keep_alive(uuid[], interval);
  drop function if exists mq_checkpoint(uuid, interval, text, bytea, integer);
  drop function if exists mq_insert(mq_new_t[]);
  -- These three are created anew by later migrations.
  drop function if exists mq_commit(uuid[]);
  drop function if exists mq_clear(text[]);
  drop function if exists mq_clear_all();

  comment on type mq_new_t is 'A job as producers of sqlxmq 0.6 spawn it, with mq_insert.';

  -- It returns void as it did, or statements that are prepared already would fail.
  create function mq_insert(new_messages mq_new_t[]) returns void
    language plpgsql volatile security definer
    set search_path from current
  as $body$
  declare
    -- In interval arithmetic, as more microseconds may not fit a bigint.
    longest constant interval := interval '36000 days';
    taken uuid[];
  begin
    if new_messages is null or cardinality(new_messages) = 0 then
      return;
    end if;
    select mq_spawn_all(
      array_agg(n.id order by n.place),
      array_agg(n.name order by n.place),
      array_agg(n.channel_name order by n.place),
      array_agg(n.channel_args order by n.place),
      array_agg(coalesce(n.ordered, false) order by n.place),
      -- 0.6 took 4294967295 retries for -1, and retried that without end.
      array_agg(case when n.retries between 0 and 1000000 then n.retries when n.retries is not null then 1000000 end order by n.place),
      array_agg(mq_microseconds(w.backoff) order by n.place),
      array_agg(mq_microseconds(greatest(w.backoff, interval '1 hour')) order by n.place),
      array_agg(mq_microseconds(w.delay) order by n.place),
      -- 0.6 counted the time to commit from when the job is due.
      array_agg(
        case when n.commit_interval is not null then mq_microseconds(least(w.delay + w.commit_interval, longest)) end order by n.place
      ),
      array_agg(n.payload_json::json::text order by n.place),
      array_agg(n.payload_bytes order by n.place)
    ) into taken
    from unnest(new_messages) with ordinality as n (id, delay, retries, retry_backoff, channel_name, channel_args,
      commit_interval, ordered, name, payload_json, payload_bytes, place)
    cross join lateral (
      select
        case when n.retry_backoff is not null then greatest(interval '0', least(n.retry_backoff, longest)) end as backoff,
        -- A delay of null made a job that never ran.
        greatest(interval '0', least(coalesce(n.delay, interval '0'), longest)) as delay,
        greatest(interval '0', least(n.commit_interval, longest)) as commit_interval
    ) as w;
    if cardinality(taken) > 0 then
      raise exception 'job id % is taken', taken[1]
        using errcode = 'unique_violation', table = 'mq_jobs', constraint = 'mq_jobs_pkey';
    end if;
  end $body$;
  comment on function mq_insert(mq_new_t[]) is
    'Spawns jobs for producers of sqlxmq 0.6, in the order of the array. Drop it, the type mq_new_t and the view mq_msgs when there are none left.';

  -- Distinct, so that nothing can be deleted through it: a statement of 0.6 that waited for the tables goes on with the view.
  create view mq_msgs as
  select distinct j.id
  from mq_jobs as j;
  comment on view mq_msgs is 'The ids of all jobs, for producers of sqlxmq 0.6: its exists() looks here.';

  foreach producer in array producers loop
    execute format('grant execute on function mq_insert(mq_new_t[]) to %I', producer);
    execute format('grant select on mq_msgs to %I', producer);
  end loop;
end $$;
