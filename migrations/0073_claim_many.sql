-- Claim many: ready rows become running ones, in the order of their tags.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Each name gets its share, and the first one rotates with the claim. Whatever fits is done in one statement and the rest asked
-- for only when there is something.
--
-- Its caller has made the settings that its plans need.
--
-- The fast mark is what the last claim saw; rows of transactions that were open then may appear below it, and a sweep finds
-- them. Below the safe one there is nothing and nothing can appear.
create function mq_claim_many(
  runner uuid,
  claim bigint,
  max_jobs integer,
  max_bytes bigint,
  name_keys bigint[],
  sweep boolean,
  marking double precision,
  own_lease interval,
  out ids uuid[],
  out attempts integer[],
  out more boolean,
  out expired boolean,
  out work_ids uuid[],
  out names text[],
  out channel_names text[],
  out channel_args text[],
  out payloads_json text[],
  out payloads_bytes bytea[],
  out max_attempts integer[]
)
  language plpgsql volatile
  set search_path from current
as $$
declare
  picked_names bigint[];
  picked_tags bigint[];
  picked_jobs bigint[];
  picked_rows bigint;
  picked_bytes bigint;
  turns tid[];
  ready_names bigint[];
  ready_marks bigint[];
  is_complete boolean;
  jobs_left integer;
  turned record;
  rest record;
  work record;
begin
  with ready as materialized (
    select array_agg(k) as names, array_agg(start.from_tag) as from_tags, array_agg(near.run) as runs,
      count(*)::integer as names_ready,
      -- Of use only if they were seen before this claim had a transaction id: see mq_advance_mark.
      case when pg_current_xact_id_if_assigned() is null then array_agg(mark.tag) end as marks
    from unnest(name_keys) as k
    left join lateral (select m.tag, m.safe_tag from mq_marks as m where m.name_key = k order by m.tag desc limit 1) as mark on true
    cross join lateral (select coalesce(case when sweep then mark.safe_tag else mark.tag end, -9223372036854775808) as from_tag) as start
    -- How long the runs are, by the first few: rows beyond what is needed should not be locked. The order names the index to use:
    -- a plan made while the queue was empty must do for a full one.
    cross join lateral (
      select avg(first.jobs)::double precision as run
      from (
        select coalesce(cardinality(q.ids), 1) as jobs
        from mq_ready as q where q.name_key = k and q.tag >= start.from_tag
        order by q.name_key, q.tag limit least(max_jobs, 16)
      ) as first
    ) as near
    where near.run is not null
  ),
  -- The lock is taken in a materialized CTE: as a plain subquery the planner may evaluate it twice and lock more rows than
  -- the limit allows.
  locked as materialized (
    select place, share.jobs as share, own.*
    from ready as r
    cross join generate_series(0, r.names_ready - 1) as place
    cross join lateral (
      select r.names[nth] as name, r.from_tags[nth] as from_tag, r.runs[nth] as run
      from (select 1 + (mq_claim_many.claim + place) % r.names_ready as nth) as n
    ) as turn
    cross join lateral (
      select greatest((max_jobs + r.names_ready - 1 - place) / r.names_ready, 1) as jobs
    ) as share
    cross join lateral (
      select q.ctid as at, q.name_key, q.tag, q.bytes, q.id is null and q.ids is null as is_turn, q.ids is not null as is_run,
        coalesce(q.ids, array[q.id]) as ids, coalesce(cardinality(q.ids), 1) as jobs
      from mq_ready as q
      where q.name_key = turn.name and q.tag >= turn.from_tag
      order by q.tag, q.position
      limit ceil(share.jobs / turn.run)
      for update skip locked
    ) as own
    limit greatest(max_jobs, 0)
  ),
  -- Not before something is locked: an idle runner costs no transaction id. Nobody who locks a runner's row waits for a ready one.
  lease as materialized (
    select mq_hold_lease(mq_claim_many.runner, mq_claim_many.claim) as is_held where exists (select from locked)
  ),
  -- Mostly all of them are wanted, if the runs are short: nothing is to be cut then.
  fitting as materialized (
    select r.names_ready = 1 and sum(l.jobs) <= max_jobs and sum(l.bytes) <= max_bytes as is_all
    from locked as l
    cross join ready as r
    group by r.names_ready
  ),
  -- The last row of a share may be a run of which only some jobs are wanted, and so may the one that reaches max_bytes.
  shared as (
    select l.*, least(l.jobs, l.share - sum(l.jobs) over (partition by l.place order by l.nth) + l.jobs) as wanted
    from (select *, row_number() over () as nth from locked) as l
  ),
  summed as (
    select s.*, (sum(s.bytes * s.wanted / s.jobs) over (order by s.nth))::bigint - s.bytes * s.wanted / s.jobs as before
    from shared as s
    where s.wanted > 0
  ),
  picked as materialized (
    select l.at, l.name_key, l.tag, l.is_turn, l.is_run, l.ids, l.jobs, l.jobs as taken, l.bytes
    from locked as l
    where (select f.is_all from fitting as f) and (select l.is_held from lease as l)
    union all
    select s.at, s.name_key, s.tag, s.is_turn, s.is_run, s.ids, s.jobs, take.jobs as taken, s.bytes * take.jobs / s.jobs as bytes
    from summed as s
    cross join lateral (
      select least(s.wanted, 1 + (max_bytes - s.before - 1) / greatest(s.bytes / s.jobs, 1))::integer as jobs
    ) as take
    where s.before < max_bytes and not (select f.is_all from fitting as f) and (select l.is_held from lease as l)
  ),
  -- By address, and by nothing else: any index would be a walk.
  taken as (
    delete from mq_ready as q
    where q.ctid = any (array(select p.at from picked as p where not p.is_turn and p.taken = p.jobs))
    returning coalesce(q.ids, array[q.id]) as ids, q.attempts, q.tag, q.position
  ),
  shortened as (
    update mq_ready as q
    set ids = p.ids[p.taken + 1 :], bytes = q.bytes - p.bytes
    from picked as p
    where q.ctid = p.at and p.taken < p.jobs
    returning p.ids[: p.taken] as ids, q.attempts, q.tag, q.position
  ),
  -- Whether what they are to do is asked for here: if it is little, as in mq_small_payloads, and all have never been claimed, as what
  -- comes from a run has not. Those have left no checkpoint to look for, and need not be claimed durably.
  simple as materialized (
    select from picked as p having bool_and(p.is_run) and sum(p.bytes + 64 * p.taken) <= mq_small_bytes()
  ),
  started as (
    insert into mq_running (runner, claim, id, attempt)
    select mq_claim_many.runner, mq_claim_many.claim, unnest(t.ids), t.attempts + 1
    -- In the order in which they are due, which is the order in which the runner starts them: it claims more than it has places for.
    from (select * from (select * from taken union all select * from shortened) as t order by t.tag, t.position) as t
    returning id, attempt
  )
  select coalesce(b.ids, '{}'), coalesce(b.attempts, '{}'),
    p.bytes is not null, (select not l.is_held from lease as l) is true,
    w.ids, w.names, w.channel_names, w.channel_args, w.payloads_json, w.payloads_bytes, w.max_attempts,
    p.names, p.tags, p.jobs, p.rows, p.bytes, p.turns, r.names, r.marks,
    w.are_all and p.turns is null and r.names_ready = 1
  into ids, attempts, more, expired, work_ids, names, channel_names, channel_args, payloads_json, payloads_bytes, max_attempts,
    picked_names, picked_tags, picked_jobs, picked_rows, picked_bytes, turns, ready_names, ready_marks, is_complete
  from ready as r
  cross join (
    select array_agg(p.name_key) as names, array_agg(p.tag) as tags, array_agg(p.jobs) as jobs, sum(p.rows) as rows,
      sum(p.bytes) as bytes, nullif(array(select p.at from picked as p where p.is_turn), '{}') as turns
    from (
      select p.name_key, max(p.tag) as tag, sum(p.taken) as jobs, count(*) as rows, sum(p.bytes) as bytes
      from picked as p
      group by p.name_key
    ) as p
  ) as p
  cross join (select array_agg(s.id) as ids, array_agg(s.attempt) as attempts from started as s) as b
  -- All in one scan, in whatever order it finds them: a look-up for each takes half as long again, and three times as long from
  -- PostgreSQL 17 on.
  cross join lateral (
    select count(*) = cardinality(b.ids) and sum(w.bytes) <= mq_small_bytes() as are_all, array_agg(w.id) as ids,
      array_agg(w.name) as names, array_agg(w.channel_name) as channel_names, array_agg(w.channel_args) as channel_args,
      array_agg(w.payload_json) as payloads_json, array_agg(w.payload_bytes) as payloads_bytes,
      array_agg(w.max_attempts) as max_attempts
    from mq_first_work as w
    where w.id = any (b.ids) and w.bytes <= mq_small_bytes() and exists (select from simple)
  ) as w;

  if picked_bytes is null then
    return;
  elsif is_complete and own_lease is null and not sweep and marking >= picked_rows then
    return;
  end if;

  if turns is not null then
    turned := mq_take_turns(mq_claim_many.runner, mq_claim_many.claim, name_keys, turns);
    ids := ids || turned.ids;
    attempts := attempts || turned.attempts;
    more := cardinality(ids) > 0 or turned.taken > 0 or turned.passed_over;
  end if;
  if marking < picked_rows then
    perform mq_advance_mark(t.name_key, t.reached, ready_marks[array_position(ready_names, t.name_key)], sweep)
    from unnest(picked_names, picked_tags) as t (name_key, reached);
  end if;
  perform mq_secure_claim(mq_claim_many.runner, mq_claim_many.claim, ids, attempts, own_lease);

  -- What a name leaves of its share is for those that have used theirs up.
  jobs_left := max_jobs - (select sum(n) from unnest(picked_jobs) as n);
  if cardinality(ready_names) > 1 and jobs_left > 0 and picked_bytes < max_bytes then
    rest := mq_claim_many(mq_claim_many.runner, mq_claim_many.claim, jobs_left, max_bytes - picked_bytes,
      array(
        select n.name from unnest(picked_names, picked_jobs) as n (name, jobs)
        where n.jobs >= greatest(max_jobs / cardinality(ready_names), 1)
      ),
      sweep, marking, own_lease);
    ids := ids || rest.ids;
    attempts := attempts || rest.attempts;
    more := more or rest.more;
    is_complete := false;
  end if;
  -- Turns that could not be used.
  if cardinality(ids) = 0 then
    return;
  end if;

  if is_complete is not true then
    work := mq_small_payloads(case when picked_bytes <= mq_small_bytes() then ids else '{}' end);
    work_ids := null;
    names := work.names;
    channel_names := work.channel_names;
    channel_args := work.channel_args;
    payloads_json := work.payloads_json;
    payloads_bytes := work.payloads_bytes;
    max_attempts := work.max_attempts;
  end if;
end $$;
comment on function mq_claim_many(uuid, bigint, integer, bigint, bigint[], boolean, double precision, interval) is
  'Claims ready jobs as mq_claim_by_name says. marking: fewer rows than these are taken without leaving a mark.';
