-- Keys: how texts become fixed-width index keys.
create function mq_now() returns timestamptz
  language sql volatile
  return clock_timestamp();
