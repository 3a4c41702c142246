-- Keys, clock and locks: the small functions that every other file builds on.
--
-- Every object lives in the schema that comes first in the search path now, and every function is pinned to it: a caller's
-- search path, or a table of the same name in a caller's own schema, can't change what the queue does.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function mq_now() returns timestamptz
  language sql volatile parallel safe
  return clock_timestamp();
comment on function mq_now() is
  'The queue''s clock. Every deadline is measured with it: now() is the start of the transaction, which may be long ago.';

-- A text as index key would be as wide as its user likes, and a plain hash could be collided on purpose.
-- The length before each part keeps (ab, c) and (a, bc) apart. Two functions of fixed arity: PostgreSQL inlines them, which a
-- variadic one with an aggregate inside is not, nor an immutable one (convert_to is stable), and that costs 100 us a call.
create function mq_key(part text) returns bigint
  language sql stable parallel safe
  return ('x' || left(encode(sha256(
    int4send(octet_length(convert_to(part, 'UTF8'))) || convert_to(part, 'UTF8')
  ), 'hex'), 16))::bit(64)::bigint;
comment on function mq_key(text) is
  'A fixed-width key for a text: the first 8 bytes of sha256 over its length and its bytes.';

create function mq_key(part text, next_part text) returns bigint
  language sql stable parallel safe
  return ('x' || left(encode(sha256(
    int4send(octet_length(convert_to(part, 'UTF8'))) || convert_to(part, 'UTF8')
    || int4send(octet_length(convert_to(next_part, 'UTF8'))) || convert_to(next_part, 'UTF8')
  ), 'hex'), 16))::bit(64)::bigint;
comment on function mq_key(text, text) is
  'A fixed-width key for a pair of texts: the first 8 bytes of sha256 over the length and the bytes of each.';

-- UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits. Close ids share index pages, which halves the WAL of random ones.
create function mq_new_id() returns uuid
  language sql volatile parallel safe
  return encode(
    set_bit(set_bit(
      overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6
      ), 52, 1), 53, 1),
    'hex')::uuid;
comment on function mq_new_id() is 'A new job id: a UUID of version 7.';

-- One number per schema, so that two queues in one database do not share locks or wake-ups.
do $$ begin
  execute format(
    'create function mq_lock_base() returns bigint language sql immutable parallel safe return %s::bigint',
    mq_key('sqlxmq', current_schema()) & ~255::bigint
  );
end $$;
comment on function mq_lock_base() is
  'The queue''s namespace among the database''s 64-bit advisory locks: base + 0..127 are wake buckets, base + 128 is the maintenance lock, base + 129 is held by the session that compacts the tables, base # channel key locks an ordered channel, base # name key the marks of a name.';

create function mq_wake_channel() returns text
  language sql immutable parallel safe
  return 'mq_wake_' || to_hex(mq_lock_base());
comment on function mq_wake_channel() is 'The NOTIFY channel on which sleeping runners are woken. The payload is the number of a wake bucket.';

create function mq_require_read_committed() returns void
  language plpgsql stable
  set search_path from current
as $$
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'this function of the queue runs in READ COMMITTED transactions only'
      using errcode = 'invalid_transaction_state',
        detail = 'An older snapshot would miss jobs that moved since it was taken.';
  end if;
end $$;
comment on function mq_require_read_committed() is 'Refuses to go on in a transaction with a snapshot of its own.';
