-- Spawn at a time: delays are measured from the database's clock, so the caller's need not agree with it.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_spawn_all_at(
  ids uuid[],
  names text[],
  channel_names text[],
  channel_args text[],
  ordered boolean[],
  retries integer[],
  backoffs_us bigint[],
  max_backoffs_us bigint[],
  delays_us bigint[],
  commit_intervals_us bigint[],
  payloads_json text[],
  payloads_bytes bytea[],
  due_us bigint[]
) returns uuid[]
  language sql volatile
  set search_path from current
as $$
  select mq_spawn_all(
    ids, names, channel_names, channel_args, ordered, retries, backoffs_us, max_backoffs_us,
    array(
      select case
        when d.due_us is null then d.delay_us
        -- The past may be longer ago than can be counted from now.
        else greatest(0, greatest(0, d.due_us) - (extract(epoch from mq_now()) * 1000000)::bigint)
      end
      from unnest(
        case cardinality(delays_us) when 1 then array_fill(delays_us[1], array[cardinality(ids)]) else delays_us end,
        case cardinality(due_us) when 1 then array_fill(due_us[1], array[cardinality(ids)]) else due_us end
      ) with ordinality as d (delay_us, due_us, place)
      order by d.place
    ),
    commit_intervals_us, payloads_json, payloads_bytes
  )
$$;
comment on function mq_spawn_all_at(uuid[], text[], text[], text[], boolean[], integer[], bigint[], bigint[], bigint[], bigint[], text[], bytea[], bigint[]) is
  'Spawns many jobs in one statement, as mq_spawn_all does. due_us: when each is due, in microseconds since 1970 (UTC), in place of its delay, or one for all; null: after its delay.';
