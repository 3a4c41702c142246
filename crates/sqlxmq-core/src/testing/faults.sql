-- A completion that fails on demand, once. A sequence, because what it says survives the rollback.
create sequence mq_testing_failures minvalue 0 start 0;

create function mq_testing_fail_complete() returns trigger
  language plpgsql
  set search_path from current
as $$
declare
  stack text;
begin
  get diagnostics stack = pg_context;
  if stack like '%function mq_complete(%' and (select f.last_value from mq_testing_failures as f) > 0 then
    perform setval('mq_testing_failures', 0);
    raise exception 'the test had this completion fail';
  end if;
  return old;
end $$;

create trigger mq_testing_fail_complete before delete on mq_running
  for each row execute function mq_testing_fail_complete();
