-- The queue's clock in the hands of a test. A sequence, because that is the same for every session and snapshot at once.
create sequence mq_testing_clock as bigint;
select setval('mq_testing_clock', (extract(epoch from clock_timestamp()) * 1000000)::bigint);

create or replace function mq_now() returns timestamptz
  language plpgsql volatile parallel restricted
  set search_path from current
as $$
declare
  microseconds bigint;
begin
  select c.last_value into microseconds from mq_testing_clock as c;
  return timestamptz 'epoch' + microseconds * interval '1 microsecond';
end $$;

-- What is compared under a lock names the server's clock itself.
do $$
declare
  definition text;
begin
  for definition in
    select pg_get_functiondef(p.oid)
    from pg_proc as p
    where p.pronamespace = current_schema()::regnamespace
      and p.proname like 'mq\_%'
      and p.prosrc like '%clock_timestamp()%'
  loop
    execute replace(definition, 'clock_timestamp()', 'mq_now()');
  end loop;
end $$;
