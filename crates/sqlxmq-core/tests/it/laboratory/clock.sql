-- The queue's clock in the hands of a test: a sequence, because that is the same for every session and snapshot at once.
create sequence laboratory_clock;
select setval('laboratory_clock', 1900000000000000);

-- Not inlined, like the clock it stands for: it is read again for each row.
create or replace function mq_now() returns timestamptz
  language plpgsql volatile parallel restricted
as $$
declare
  microseconds bigint;
begin
  select c.last_value into microseconds from laboratory_clock as c;
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
