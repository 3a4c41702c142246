-- Names for jobs and runners that are easy to say.
create function job(n integer) returns uuid language sql immutable
  return ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid;
create function jobs(first integer, last integer) returns uuid[] language sql immutable
  return array(select job(n) from generate_series(first, last, case when first <= last then 1 else -1 end) as n);
create function those(variadic n integer[]) returns uuid[] language sql immutable
  return array(select job(i) from unnest(n) with ordinality as u (i, place) order by place);
create function runner(n integer) returns uuid language sql immutable
  return ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid;
create function same(claim bigint, ids uuid[]) returns bigint[] language sql immutable
  return array_fill(claim, array[cardinality(ids)]);
create function number_of(id uuid) returns integer language sql immutable
  return right(id::text, 12)::integer;
