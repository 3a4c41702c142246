-- How long a job may wait. Who calls from SQL has no builder that says so.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_usual_backoff() returns interval
  language sql immutable parallel safe
  return interval '1 second';
comment on function mq_usual_backoff() is 'How long a job waits after its first failed attempt, unless it says otherwise.';

create function mq_usual_max_backoff() returns interval
  language sql immutable parallel safe
  return interval '1 hour';
comment on function mq_usual_max_backoff() is 'The longest that a job waits for its next attempt, unless it says otherwise.';

-- The builder allows years of 360 days. A time to be due at is measured from another clock there than here, so there is room between.
create function mq_check_waits(names text[], delays_us bigint[], commit_intervals_us bigint[]) returns void
  language plpgsql immutable parallel safe
  set search_path from current
as $$
declare
  longest_us constant bigint := extract(epoch from interval '100 years') * 1000000;
  refused record;
begin
  select names[n] as name, case when delays_us[n] > longest_us then 'delay' else 'commit interval' end as wait into refused
  from generate_subscripts(names, 1) as n
  where delays_us[n] > longest_us or commit_intervals_us[n] > longest_us
  limit 1;
  if found then
    raise exception 'the % of job "%" is too long', refused.wait, refused.name
      using errcode = 'check_violation', hint = 'It may be 100 years at most.';
  end if;
end $$;
comment on function mq_check_waits(text[], bigint[], bigint[]) is 'Refuses jobs that would wait for longer than 100 years.';
