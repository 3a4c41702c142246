-- Claim one: what a claim mostly finds in a queue with little to do is one job, or nothing.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- To start a statement costs more than its work in a claim of one job, and whoever spawns into an idle queue waits for it. So this
-- one has few parts. Its caller has made the settings that its plans need.
create function mq_claim_one(
  runner uuid, claim bigint, max_jobs integer, max_bytes bigint, name_keys bigint[], out is_alone boolean, out is_held boolean, out id uuid,
  out is_small boolean, out name text, out channel_name text, out channel_args text, out payload_json text, out payload_bytes bytea,
  out max_attempts integer
)
  language plpgsql volatile
  set search_path from current
as $$
begin
  with near as materialized (
    select own.*
    from unnest(name_keys) as k
    left join lateral (select m.tag from mq_marks as m where m.name_key = k order by m.tag desc limit 1) as mark on true
    cross join lateral (
      select q.ctid as at, q.attempts, q.bytes,
        case when q.ids is null then q.id when cardinality(q.ids) = 1 then q.ids[1] end as id
      from mq_ready as q
      where q.name_key = k and q.tag >= coalesce(mark.tag, -9223372036854775808)
      order by q.tag, q.position
      limit least(max_jobs, 2)
      for update skip locked
    ) as own
    limit least(max_jobs, 2)
  ),
  -- A later attempt is claimed durably, which is not for here.
  alone as materialized (
    select n.at, n.id, mq_hold_lease(mq_claim_one.runner, mq_claim_one.claim) as is_held
    from near as n
    where (select count(*) from near) = 1 and n.id is not null and n.attempts = 0 and n.bytes <= max_bytes
  ),
  taken as (
    delete from mq_ready as q where q.ctid = any (array(select a.at from alone as a where a.is_held))
  ),
  started as (
    insert into mq_running (runner, claim, id, attempt)
    select mq_claim_one.runner, mq_claim_one.claim, a.id, 1 from alone as a where a.is_held
  )
  select n.jobs = 0 or a.id is not null, a.is_held, a.id, w.id is not null, w.name, w.channel_name, w.channel_args, w.payload_json,
    w.payload_bytes, w.max_attempts
  into is_alone, is_held, id, is_small, name, channel_name, channel_args, payload_json, payload_bytes, max_attempts
  from (select count(*) as jobs from near) as n
  left join alone as a on true
  left join lateral (
    select * from mq_work as w where a.is_held and w.id = a.id and w.bytes <= mq_small_bytes() limit 1
  ) as w on true;
end $$;
comment on function mq_claim_one(uuid, bigint, integer, bigint, bigint[]) is
  'Claims the ready job of these names if there is just one near the marks, in its first attempt. is_alone: there is not more (no id: nothing). is_held: the runner''s lease is; otherwise nothing was claimed. is_small: its payload is here.';
