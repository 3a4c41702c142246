-- Every row of the queue, one line each, as the model writes them too.
create function microseconds(at timestamptz) returns bigint language sql immutable
  return (extract(epoch from at) * 1000000)::bigint - 1900000000000000;

create function seen() returns setof text language plpgsql volatile as $$
begin
  return query
  select format('job %s: %s in %s/%s, ordered %s, %s attempts, backoff %s to %s, spawned at %s, %s, %s', number_of(j.id), j.name,
    j.channel_name, j.channel_args, j.ordered, j.max_attempts, mq_microseconds(coalesce(j.backoff, mq_usual_backoff())),
    mq_microseconds(coalesce(j.max_backoff, mq_usual_max_backoff())),
    microseconds(j.spawned_at), coalesce(j.payload_json, '-'), coalesce(convert_from(j.payload_bytes, 'UTF8'), '-'))
  from mq_jobs as j
  union all
  select format('ready %s: %s used', number_of(r.id), r.attempts) from mq_ready_jobs as r
  union all
  select format('ready %s: %s used', number_of(l.id), l.attempts)
  from mq_line as l
  where not exists (select from mq_scheduled as s where s.id = l.id)
    and not exists (select from mq_held as h where h.id = l.id)
    and not exists (select from mq_running as r where r.id = l.id)
  union all
  select format('scheduled %s: at %s, %s used', number_of(s.id), microseconds(s.due_at), s.attempts) from mq_scheduled as s
  union all
  select format('held %s: until %s, due %s', number_of(h.id), microseconds(h.expires_at), microseconds(h.due_at)) from mq_held as h
  union all
  select format('running %s: runner %s, claim %s, attempt %s', number_of(r.id), number_of(r.runner), r.claim, r.attempt)
  from mq_running as r
  union all
  select format('dead %s: at %s, %s used', number_of(d.id), microseconds(d.died_at), d.attempts) from mq_dead as d
  union all
  select format('error %s of %s: attempt %s at %s: %s', row_number() over (partition by e.id order by e.place), number_of(e.id),
    e.attempt, microseconds(e.failed_at), e.error)
  from mq_errors as e
  union all
  select format('checkpoint %s: %s, %s, %s extra', number_of(c.id), coalesce(c.payload_json, '-'),
    coalesce(convert_from(c.payload_bytes, 'UTF8'), '-'), c.extra_attempts)
  from mq_checkpoints as c
  union all
  select format('lease %s: runner %s, claim %s, until %s', number_of(l.id), number_of(l.runner), l.claim, microseconds(l.expires_at))
  from mq_leases as l
  union all
  select format('leftover: %s', number_of(f.id)) from mq_leftovers as f
  union all
  select format('runner %s: beat %s, first claim %s, until %s, since %s, %s', number_of(i.runner), i.beat, i.first_claim,
    microseconds(i.expires_at), microseconds(i.registered_at), i.description)
  from mq_runners as i
  union all
  select format('place of %s: %s', number_of(p.id), row_number() over (partition by p.channel_name, p.channel_args order by p.number))
  from (
    select j.id, j.channel_name, j.channel_args, coalesce(l.number, d.number) as number
    from mq_jobs as j
    left join mq_line as l on l.id = j.id
    left join mq_dead as d on d.id = j.id
    where j.ordered
  ) as p
  union all
  select format('count %s/%s %s: %s', c.channel_name, c.channel_args, c.state, c.jobs) from mq_counts_cache as c
  union all
  select format('counted at %s', case when isfinite(a.counted_at) then microseconds(a.counted_at)::text else 'no time' end)
  from mq_counts_age as a
  union all
  select 'unsound: ' || u from unsound() as u;
end $$;

create procedure empty() language plpgsql as $$
declare
  emptied text;
begin
  for emptied in
    select c.relname from pg_class as c
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname like 'mq\_%'
      and c.relname not in ('mq_migrations', 'mq_counts_age')
  loop
    execute format('delete from %I', emptied);
  end loop;
  update mq_counts_age set counted_at = '-infinity';
  perform setval('laboratory_clock', 1900000000000000);
end $$;
