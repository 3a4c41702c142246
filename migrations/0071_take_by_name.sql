-- Taking by name: the ready rows of a runner that takes all channels.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Takes up to max_jobs ready rows, lowest tags first, each name getting its share; the first name rotates with the claim.
create function mq_take_by_name(
  runner uuid, claim bigint, names bigint[], from_tags bigint[], max_jobs integer, max_bytes bigint,
  out ids uuid[], out attempts integer[], out turns tid[], out reached_names bigint[], out reached_tags bigint[]
)
  language plpgsql volatile
  set search_path from current
  set enable_sort = off
as $$
declare
  rows_left integer := max_jobs;
  bytes_left bigint := max_bytes;
  at integer;
  share integer;
  took record;
  nth integer;
begin
  ids := '{}';
  attempts := '{}';
  turns := '{}';
  reached_names := '{}';
  reached_tags := '{}';
  for nth in 0 .. cardinality(names) - 1 loop
    exit when rows_left <= 0 or bytes_left <= 0;
    at := 1 + (mq_take_by_name.claim + nth) % cardinality(names);
    share := ceil(rows_left::numeric / (cardinality(names) - nth));
    -- The lock is taken in a materialized CTE: as a plain subquery the planner may evaluate it twice and lock more rows than
    -- the limit allows.
    with locked as materialized (
      select q.ctid as at, q.tag, q.bytes, q.id is null as is_turn
      from mq_ready as q
      where q.name_key = names[at] and q.tag >= from_tags[at]
      order by q.tag, q.position
      limit share
      for update skip locked
    ),
    summed as (
      select l.*, sum(l.bytes) over (rows unbounded preceding) - l.bytes as before
      from locked as l
    ),
    picked as materialized (
      select s.at, s.tag, s.bytes, s.is_turn from summed as s where s.before < bytes_left
    ),
    -- By address, and by nothing else: any index would be a walk.
    taken as (
      delete from mq_ready as q
      where q.ctid = any (array(select p.at from picked as p where not p.is_turn))
      returning q.id, q.attempts
    ),
    started as (
      insert into mq_running (runner, claim, id, attempt)
      select mq_take_by_name.runner, mq_take_by_name.claim, t.id, t.attempts + 1
      from taken as t
      returning id, attempt
    ),
    begun as (
      select array_agg(s.id) as ids, array_agg(s.attempt) as attempts from started as s
    )
    select (select b.ids from begun as b) as ids, (select b.attempts from begun as b) as attempts,
      array_agg(p.at) filter (where p.is_turn) as turns, max(p.tag) as last_tag, count(*) as rows, sum(p.bytes) as bytes
    into took
    from picked as p;
    continue when took.rows = 0;
    ids := ids || took.ids;
    attempts := attempts || took.attempts;
    turns := turns || took.turns;
    reached_names := reached_names || names[at];
    reached_tags := reached_tags || took.last_tag;
    rows_left := rows_left - took.rows;
    bytes_left := bytes_left - took.bytes;
  end loop;
end $$;
comment on function mq_take_by_name(uuid, bigint, bigint[], bigint[], integer, bigint) is
  'Starts ready jobs for a runner that takes all channels, and locks turns of ordered channels.';
