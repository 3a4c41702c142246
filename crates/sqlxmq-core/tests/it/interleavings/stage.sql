-- Jobs in every state, in ordered channels and out of them, with names that are easy to say.
create function wait_a_while(duration interval) returns void language sql volatile
begin atomic
  select setval('laboratory_clock', (select last_value from laboratory_clock) + mq_microseconds(duration));
end;

create function claim_channels(who integer, nth bigint, own_lease interval, variadic channel_names text[]) returns uuid[]
  language sql volatile
  return (
    select c.ids
    from mq_claim_by_channel(runner(who), nth, 100, 1 << 30, null, array(select mq_key(n) from unnest(channel_names) as n), 0, own_lease, false) as c
  );

select mq_register(runner(1), '1 hour', 'alive'), mq_register(runner(2), '5 seconds', 'expired'),
  mq_register(runner(3), '1 hour', 'alive and idle');

-- 12, 13, 25: dead.
select mq_spawn('a', channel_name => 'dead', retries => 0, id => job(12)),
  mq_spawn('b', channel_name => 'dead', retries => 0, id => job(13)),
  mq_spawn('a', channel_name => 'mixed', channel_args => 'o6', retries => 0, ordered => true, id => job(25));
select mq_fail(runner(3), ids, same(1, ids), array_fill('no'::text, array[cardinality(ids)]), true)
from claim_channels(3, 1, null, 'dead', 'mixed') as ids;

-- 1, 2: ready. 3: due. 4: delayed. 5: held. 6: held for too long.
select mq_spawn('a', channel_name => 'free', id => job(1), payload => '"one"'),
  mq_spawn('b', channel_name => 'free', id => job(2)),
  mq_spawn('a', channel_name => 'free', id => job(3), delay => '1 second'),
  mq_spawn('a', channel_name => 'free', id => job(4), delay => '1 hour'),
  mq_spawn('a', channel_name => 'free', id => job(5), commit_interval => '1 hour'),
  mq_spawn('a', channel_name => 'free', id => job(6), commit_interval => '1 second'),
  -- 7, 8: with runner 1. 9, 10: with runner 2. 11: with runner 1, under a lease of its own.
  mq_spawn('a', channel_name => 'with 1', id => job(7)),
  mq_spawn('b', channel_name => 'with 1', id => job(8)),
  mq_spawn('a', channel_name => 'with 2', id => job(9)),
  mq_spawn('b', channel_name => 'with 2', id => job(10)),
  mq_spawn('a', channel_name => 'leased', id => job(11));

-- 34, 35: ready, and with higher ids than all others.
select mq_spawn('a', channel_name => 'free', id => job(34)), mq_spawn('b', channel_name => 'free', id => job(35));

-- Ordered channels, by the state of their heads. Those behind the heads have the other name.
select mq_spawn(case when n in (15, 18, 20, 22, 24, 26, 29, 31, 33) then 'b' else 'a' end,
  channel_name => channel, channel_args => args, ordered => true, id => job(n),
  retries => case when n = 30 then 0 else 4 end,
  delay => case n when 19 then interval '1 second' when 32 then interval '1 hour' else interval '0' end,
  commit_interval => case n when 21 then interval '1 hour' when 23 then interval '1 second' end)
from (values
  (14, 'with 1', 'o1'), (15, 'with 1', 'o1'), (16, 'with 1', 'o1'),
  (17, 'free', 'o2'), (18, 'free', 'o2'),
  (19, 'free', 'o3'), (20, 'free', 'o3'),
  (21, 'free', 'o4'), (22, 'free', 'o4'),
  (23, 'free', 'o5'), (24, 'free', 'o5'),
  (26, 'mixed', 'o6'), (27, 'mixed', 'o6'),
  (28, 'leased', 'o7'), (29, 'leased', 'o7'),
  (30, 'with 1', 'o8'), (31, 'with 1', 'o8'),
  (32, 'free', 'o9'), (33, 'free', 'o9')
) as o (n, channel, args)
order by n;

select claim_channels(1, 1, null, 'with 1');
select claim_channels(1, 2, '1 second', 'leased');
select claim_channels(2, 1, null, 'with 2', 'mixed');
select mq_checkpoint(runner(1), job(8), 1, '"half"', null, 1, '0'), mq_keep_alive(runner(1), job(7), 1, '1 hour');
select wait_a_while('10 seconds');

-- Where everything is now, to come back to.
do $$
declare
  kept text;
begin
  for kept in
    select c.relname from pg_class as c
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname like 'mq\_%' and c.relname <> 'mq_migrations'
  loop
    execute format('create table %I as table %I', 'kept_' || kept, kept);
  end loop;
  execute format('create function staged_at() returns bigint language sql immutable return %s', (select last_value from laboratory_clock));
end $$;

create procedure restore() language plpgsql as $$
declare
  kept text;
begin
  for kept in
    select c.relname from pg_class as c
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname like 'mq\_%' and c.relname <> 'mq_migrations'
  loop
    execute format('delete from %I', kept);
    execute format('insert into %I overriding system value table %I', kept, 'kept_' || kept);
  end loop;
  perform setval('laboratory_clock', staged_at());
end $$;

-- Two runners, each of which knows one name only, complete everything, long after all leases and delays are over.
-- Returns what they could not do, or did in another order than the line's.
create function drain() returns text[] language plpgsql as $$
declare
  line record;
  claimed record;
  promoted record;
  nth bigint := 0;
  idle integer := 0;
  done uuid[] := '{}';
  complaints text[];
begin
  perform wait_a_while('3 hours');
  perform mq_register(runner(98), '1 hour', 'knows a'), mq_register(runner(99), '1 hour', 'knows b');
  perform mq_reap_jobs();
  perform mq_reap(array_agg(s.runner), array_agg(s.beat)) from mq_runners_seen() as s where s.expired;
  select array_agg(l.id order by l.number) as ids, array_agg(l.channel_key order by l.number) as channels into line from mq_line as l;
  while idle < 4 loop
    nth := nth + 1;
    idle := idle + 1;
    select p.promoted, p.expired into promoted from mq_promote(1000) as p;
    select c.ids, c.more into claimed
    from mq_claim_by_name(runner((98 + nth % 2)::integer), nth, 1000, 1 << 30, array[mq_key(case when nth % 2 = 0 then 'a' else 'b' end)], true, null, false) as c;
    perform mq_complete(runner((98 + nth % 2)::integer), claimed.ids, same(nth, claimed.ids), true);
    done := done || claimed.ids;
    if promoted.promoted + promoted.expired > 0 or claimed.more then
      idle := 0;
    end if;
    if nth > 500 then
      return array['the drain does not end'];
    end if;
  end loop;
  complaints := array(
    select format('%s is never run', j.id) from mq_jobs as j where not exists (select from mq_dead as d where d.id = j.id)
    union all
    select format('%s was run after %s', early.id, late.id)
    from unnest(line.ids, line.channels) with ordinality as early (id, channel, place)
    join unnest(line.ids, line.channels) with ordinality as late (id, channel, place)
      on late.channel = early.channel and late.place > early.place
    where array_position(done, late.id) < array_position(done, early.id)
    union all
    select 'left over: ' || o.what
    from (
      select 'ready' as what from mq_ready union all select 'scheduled' from mq_scheduled union all select 'held' from mq_held
      union all select 'running' from mq_running union all select 'line' from mq_line union all select 'leases' from mq_leases
      union all select 'leftovers' from mq_leftovers
    ) as o
    union all
    select u from unsound() as u
  );
  return complaints;
end $$;
