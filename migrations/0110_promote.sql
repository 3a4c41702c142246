-- Promote: what time alone changes. Due jobs become ready, held jobs that nobody committed expire.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- For claims that find nothing: so that nobody else has to look at the schedule of an idle queue as often.
create function mq_is_due() returns boolean
  language plpgsql volatile
  set search_path from current
as $$
begin
  return exists (select from mq_scheduled as s where s.due_at <= (select mq_now()))
    or exists (select from mq_held as h where h.expires_at <= (select mq_now()))
    or exists (select from mq_leftovers);
end $$;
comment on function mq_is_due() is 'Whether mq_promote has something to do.';

create function mq_promote(max_jobs integer, out promoted integer, out expired integer, out next_in interval)
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
  due record;
  swept record;
  gone uuid[];
begin
  perform mq_require_read_committed();
  promoted := 0;
  expired := 0;

  -- An idle runner looks here often: no lock and no transaction id unless something is due.
  if exists (select from mq_scheduled as s where s.due_at <= (select mq_now())) then
    with picked as materialized (
      select s.ctid as at
      from mq_scheduled as s
      where s.due_at <= (select mq_now())
      order by s.due_at
      limit max_jobs
      for update skip locked
    ),
    moved as (
      delete from mq_scheduled as s where s.ctid = any (array(select p.at from picked as p))
      returning s.id, s.due_at, s.attempts
    )
    select array_agg(m.id order by m.due_at, m.id) as ids, array_agg(m.attempts order by m.due_at, m.id) as attempts
    into due
    from moved as m;
    if due.ids is not null then
      promoted := cardinality(due.ids);
      perform mq_enqueue(due.ids, due.attempts);
    end if;
  end if;

  -- Expiry is decided under the row lock, by the same statement that deletes: a commit that came first has taken the row away.
  if exists (select from mq_held as h where h.expires_at <= (select mq_now())) then
    with picked as materialized (
      select h.ctid as at
      from mq_held as h
      where h.expires_at <= (select mq_now())
      order by h.expires_at
      limit max_jobs
      for update skip locked
    ),
    removed as (
      delete from mq_held as h
      where h.ctid = any (array(select p.at from picked as p)) and h.expires_at <= clock_timestamp()
      returning h.id
    )
    select array_agg(r.id) into gone from removed as r;
    if gone is not null then
      expired := cardinality(gone);
      perform mq_leave_line(gone);
      perform mq_forget(gone);
    end if;
  end if;

  if exists (select from mq_leftovers) then
    with picked as materialized (
      select f.ctid as at from mq_leftovers as f order by f.place limit max_jobs for update skip locked
    ),
    swept as (
      delete from mq_leftovers as f where f.ctid = any (array(select p.at from picked as p)) returning f.id, f.channel_key
    )
    select coalesce(array_agg(g.id), '{}') as ids, array_agg(distinct g.channel_key) filter (where g.channel_key is not null) as channels
    into swept
    from swept as g;
    -- Not what belongs to a new job of the same id.
    delete from mq_checkpoints as c
    where c.id = any (swept.ids)
      and (select true from mq_jobs as j where j.id = c.id and j.spawned_at = c.spawned_at limit 1) is null;
    delete from mq_leases as l
    where l.id = any (swept.ids)
      and (select true from mq_running as r where r.runner = l.runner and r.claim = l.claim and r.id = l.id limit 1) is null;
    if swept.channels is not null then
      perform mq_give_heads_turns(swept.channels, '{}');
    end if;
  end if;

  select greatest(s.due_at - mq_now(), interval '0') into next_in
  from mq_scheduled as s
  order by s.due_at
  limit 1;
end $$;
comment on function mq_promote(integer) is
  'Makes due jobs ready and removes held jobs whose commit interval is over, up to max_jobs of each. next_in: when to look again.';
