-- What is wrong with a queue at rest, one line for each complaint.
-- In plpgsql, because that keeps its plan.
create function unsound() returns setof text
  language plpgsql volatile
as $$
begin
  return query
  with places as (
    select r.id, 'ready' as state from mq_ready_jobs as r
    union all select s.id, 'scheduled' from mq_scheduled as s
    union all select h.id, 'held' from mq_held as h
    union all select r.id, 'running' from mq_running as r
    union all select d.id, 'dead' from mq_dead as d
  ),
  jobs as (
    select j.*,
      array(select p.state from places as p where p.id = j.id order by p.state) as states,
      (select count(*) from mq_line as l where l.id = j.id) as lines,
      coalesce(c.extra_attempts, 0) as extra_attempts
    from mq_jobs as j
    left join mq_checkpoints as c on c.id = j.id and c.spawned_at = j.spawned_at
  ),
  channels as (
    select distinct on (l.channel_key) l.channel_key, l.id, j.states
    from mq_line as l
    join jobs as j on j.id = l.id
    order by l.channel_key, l.number
  ),
  safe_marks as (
    select distinct on (m.name_key) m.name_key, m.safe_tag from mq_marks as m order by m.name_key, m.tag desc
  )
  select format('job %s is in states %s and in line %s times', j.id, j.states, j.lines)
  from jobs as j
  where not (
    cardinality(j.states) = 1 and j.lines = case when j.ordered and j.states <> '{dead}' then 1 else 0 end
      and not (j.ordered and j.states = '{ready}')
    or cardinality(j.states) = 0 and j.ordered and j.lines = 1
  )
  union all
  select format('%s of %s, which is no job', o.what, o.id)
  from (
    select p.state as what, p.id from places as p
    union all select 'line', l.id from mq_line as l
    union all select 'error', e.id from mq_errors as e
    union all select 'checkpoint', c.id from mq_checkpoints as c where not exists (select from mq_leftovers as f where f.id = c.id)
    union all select 'lease', l.id from mq_leases as l where not exists (select from mq_leftovers as f where f.id = l.id)
  ) as o
  where not exists (select from mq_jobs as j where j.id = o.id)
  union all
  select format('the line of %s is that of another channel', l.id)
  from mq_line as l
  join mq_jobs as j on j.id = l.id
  where l.channel_key <> mq_key(j.channel_name, j.channel_args)
  union all
  select format('running row of %s: runner %s, claim %s, attempt %s', r.id, r.runner, r.claim, r.attempt)
  from mq_running as r
  join jobs as j on j.id = r.id
  where not exists (select from mq_runners as i where i.runner = r.runner and r.claim >= i.first_claim)
    or r.channel_key is distinct from case when j.ordered then mq_key(j.channel_name, j.channel_args) end
    or r.attempt > j.max_attempts + j.extra_attempts
  union all
  select format('lease of %s, which does not run under that token', l.id)
  from mq_leases as l
  where not exists (select from mq_running as r where r.runner = l.runner and r.claim = l.claim and r.id = l.id)
    and not exists (select from mq_leftovers as f where f.id = l.id)
  union all
  select format('ready row of %s has other keys than the job', r.id)
  from mq_ready_jobs as r
  join mq_jobs as j on j.id = r.id
  where (r.name_key, r.channel_name_key, r.channel_key)
    <> (mq_key(j.name), mq_key(j.channel_name), mq_key(j.channel_name, j.channel_args))
  union all
  select format('ready row %s has other bytes than its jobs', r.position)
  from mq_ready as r
  join mq_jobs as j on j.id = r.id or j.id = any (r.ids)
  group by r.name_key, r.tag, r.position, r.bytes
  -- Of a run that was shortened it is about that.
  having abs(r.bytes - sum(coalesce(octet_length(j.payload_json), 0) + coalesce(octet_length(j.payload_bytes), 0)))
    > case when count(*) = 1 and r.bytes > 16384 then 0 else 16384 end
  union all
  select format('ready row %s has a greater tag: %s', q.position, q.tag)
  from mq_ready as q
  where q.tag > q.position
  union all
  select format('%s is in a run that its row does not tell of', r.id)
  from mq_ready_jobs as r
  join mq_ready as q on (q.name_key, q.tag, q.position) = (r.name_key, r.tag, r.position) and q.ids is not null
  join mq_jobs as j on j.id = r.id
  where (j.tag, j.position) is distinct from (r.tag, r.position)
  union all
  select format('ready row of %s is hidden by the safe mark', coalesce(r.id::text, 'a channel'))
  from mq_ready as r
  join safe_marks as m on m.name_key = r.name_key
  where r.tag < m.safe_tag
  union all
  select format('%s is the head of its channel and may start, but the channel has no turn', c.id)
  from channels as c
  where c.states = '{}'
    and not exists (select from mq_running as r where r.channel_key = c.channel_key)
    and not exists (select from mq_ready as r where r.channel_key = c.channel_key and r.id is null and r.ids is null)
    and not exists (select from mq_leftovers as f where f.channel_key = c.channel_key)
  union all
  select format('dead row of %s: number %s', d.id, d.number)
  from mq_dead as d
  join mq_jobs as j on j.id = d.id
  where (d.number is null) = j.ordered
  union all
  select format('mq_count_now() has %s, the tables have %s', coalesce(c::text, 'nothing'), coalesce(t::text, 'nothing'))
  from (
    select j.channel_name, j.channel_args, coalesce(j.states[1], 'ready') as state, count(*) as jobs
    from jobs as j
    group by 1, 2, 3
  ) as t
  full join mq_count_now() as c using (channel_name, channel_args, state)
  where t.jobs is distinct from c.jobs;
end $$;
