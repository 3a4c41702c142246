-- Marks: where a claim starts to look, so that it does not walk over rows already taken.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- A mark becomes safe in two steps. First it must be out of reach: a spawner takes its transaction id before it looks for
-- marks, and whoever sees this one places at or above it. So whoever did not has an id older than that of any claim that saw
-- the mark before it took an id of its own (the end of a snapshot would not do: it says nothing of the ids that are given
-- out and still open). Once these have ended nothing can appear below. But something may have appeared meanwhile. So, second,
-- a sweep that sees them all ended must find nothing there.
create function mq_advance_mark(name_key bigint, reached bigint, seen bigint, sweep boolean) returns void
  language plpgsql volatile
  set search_path from current
as $$
declare
  lowest_tag constant bigint := -9223372036854775808;
  mark record;
  lowest bigint;
  all_ended_before xid8;
  safe bigint;
  next_safe bigint;
  after xid8;
begin
  -- One claim at a time, and nobody waits: two that insert the same mark would, for as long as the first one is open.
  if not pg_try_advisory_xact_lock(mq_lock_base() # mq_advance_mark.name_key) then
    return;
  end if;
  select m.tag, m.safe_tag, m.next_safe_tag, m.safe_after into mark
  from mq_marks as m
  where m.name_key = mq_advance_mark.name_key
  order by m.tag desc limit 1;
  safe := coalesce(mark.safe_tag, lowest_tag);
  next_safe := mark.next_safe_tag;
  after := mark.safe_after;

  -- The lowest visible row, not the lowest claimed one: a row under another claim that rolls back is visible still. In the same
  -- snapshot as the proof.
  select (
      select q.tag from mq_ready as q
      where q.name_key = mq_advance_mark.name_key and q.tag >= case when sweep then safe else coalesce(mark.tag, lowest_tag) end
      order by q.name_key, q.tag limit 1
    ),
    pg_snapshot_xmin(pg_current_snapshot())
  into lowest, all_ended_before;

  if sweep and after <= all_ended_before then
    safe := greatest(safe, least(next_safe, lowest));
    next_safe := null;
    after := null;
  end if;
  -- One at a time, or a stream of long transactions would put it off for ever; and one from another cluster, in a restored
  -- database, is of no use.
  if (after is null or after > pg_current_xact_id()) and seen > safe then
    next_safe := seen;
    after := pg_current_xact_id();
  end if;

  lowest := coalesce(lowest, reached);
  if lowest > coalesce(mark.tag, lowest_tag) then
    insert into mq_marks (name_key, tag, safe_tag, next_safe_tag, safe_after)
    values (mq_advance_mark.name_key, lowest, safe, next_safe, after)
    on conflict do nothing;
    -- Whoever sees this sees the mark that was there before, so the ones below that are of no use.
    delete from mq_marks as m
    where m.name_key = mq_advance_mark.name_key and m.tag < mark.tag;
  end if;
end $$;
comment on function mq_advance_mark(bigint, bigint, bigint, boolean) is
  'Notes how far the ready rows of a name have been taken. seen: the mark that this claim saw before it had a transaction id (null: unknown). sweep: whether it looked from the safe mark on.';
