-- Tables: what a job is, written once, and where it is, a slim row.
--
-- A job row exists exactly while one of the state rows does. A transition deletes one slim row and inserts another; nothing
-- here is updated in the way of a claim or a completion.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- The bounds of a table's columns are read anew for each statement that inserts into it, which takes a spawn of one job longer than
-- all the rest does; those of a type are kept.
create domain mq_job_id as uuid
  constraint mq_jobs_id_is_not_nil check (value <> '00000000-0000-0000-0000-000000000000');
create domain mq_job_name as text
  constraint mq_jobs_name_is_bounded check (octet_length(value) between 1 and 1024);
create domain mq_channel_name as text
  constraint mq_jobs_channel_name_is_bounded check (octet_length(value) <= 1024);
create domain mq_channel_args as text
  constraint mq_jobs_channel_args_are_bounded check (octet_length(value) <= 16384);
create domain mq_max_attempts as integer
  constraint mq_jobs_attempts_are_bounded check (value between 1 and 1000001);
create domain mq_pause as interval
  constraint mq_jobs_backoff_is_bounded check (value between interval '0' and interval '100 years');
create domain mq_attempt as integer
  constraint mq_running_attempts_count_from_one check (value >= 1);

comment on domain mq_job_id is 'The id of a job: not nil.';
comment on domain mq_job_name is 'The name of a job: 1 to 1,024 bytes.';
comment on domain mq_channel_name is 'A channel name: up to 1,024 bytes.';
comment on domain mq_channel_args is 'The arguments of a channel: up to 16 KiB.';
comment on domain mq_max_attempts is 'How many attempts a job has: 1 to 1,000,001.';
comment on domain mq_pause is 'A backoff: up to 100 years.';
comment on domain mq_attempt is 'The number of an attempt, counted from 1.';

-- Fixed widths first, without gaps; what is mostly null last.
create table mq_jobs (
  id mq_job_id not null,
  spawned_at timestamptz not null,
  tag bigint,
  position bigint,
  max_attempts mq_max_attempts not null,
  ordered boolean not null,
  name mq_job_name not null,
  channel_name mq_channel_name not null,
  channel_args mq_channel_args not null,
  backoff mq_pause,
  max_backoff mq_pause,
  payload_json text,
  payload_bytes bytea,
  constraint mq_jobs_pkey primary key (id),
  constraint mq_jobs_payload_is_bounded check (
    coalesce(octet_length(payload_json), 0)::bigint + coalesce(octet_length(payload_bytes), 0) <= 268435456
  )
);
comment on table mq_jobs is
  'What each job is: written once when it is spawned, deleted with its last state row, never updated. JSON is kept as text, so that it comes back byte for byte. tag and position: the run of mq_ready that it was spawned into, if it was. backoff and max_backoff: null if they are the usual ones (mq_usual_backoff, mq_usual_max_backoff).';

-- As much as a run is long, so that no tag gets ahead of it: what is placed without looking goes to a number just drawn.
create sequence mq_position as bigint increment by 16 cache 1;
comment on sequence mq_position is 'Places in mq_ready, in the order of arrival.';

create table mq_ready (
  name_key bigint not null,
  tag bigint not null,
  position bigint not null,
  channel_name_key bigint not null,
  channel_key bigint not null,
  id uuid,
  ids uuid[],
  length smallint,
  lowest_id uuid,
  attempts integer not null,
  bytes integer not null,
  constraint mq_ready_pkey primary key (name_key, tag, position)
);
-- Nulls first, although there are none: no other index has that order, so whoever asks for it reads this one.
create index mq_ready_by_flow on mq_ready (channel_name_key, name_key, channel_key, tag nulls first);
create index mq_ready_by_id on mq_ready (id) where id is not null;
comment on table mq_ready is
  'Where ready jobs wait: a claim takes the lowest tags of the names it knows. A row with ids is a run: unordered jobs of one flow that were spawned together. A row with an id is an unordered job that came back, or came due. A row with neither is a turn, the right to look at the head of an ordered channel.';
comment on column mq_ready.tag is
  'The round in which this row is due. The jobs of one flow (a name in a channel) have different tags, so each flow has its turn in each round; a run has as many as it has jobs, and waits under the first.';
comment on column mq_ready.ids is
  'The jobs of a run, in order. A claim that takes only some takes them from the front.';
comment on column mq_ready.length is
  'How many jobs a run of several began with: so many tags are taken. Null: one.';
comment on column mq_ready.lowest_id is
  'Of a run of several: the lowest of the ids it began with, in whose order it is locked by those who wait. See mq_cancel.';

create view mq_ready_jobs as
select coalesce(run.id, q.id) as id, q.name_key, q.tag, q.position, q.channel_name_key, q.channel_key, q.attempts
from mq_ready as q
left join lateral unnest(q.ids) as run (id) on true
where q.id is not null or q.ids is not null;
comment on view mq_ready_jobs is 'The unordered jobs that are ready, one by one. Ordered ones are in mq_line.';

create table mq_marks (
  name_key bigint not null,
  tag bigint not null,
  safe_tag bigint not null,
  next_safe_tag bigint,
  safe_after xid8,
  constraint mq_marks_pkey primary key (name_key, tag),
  constraint mq_marks_next_safe_tag_has_its_proof check ((next_safe_tag is null) = (safe_after is null))
);
comment on table mq_marks is
  'Low-water marks of mq_ready, so that a claim does not walk over rows already taken. tag: below it nothing of that name was visible. safe_tag: below it nothing is, nor can appear. next_safe_tag: below it nothing can appear once all transactions older than safe_after have ended; it is safe when a sweep then finds nothing there.';

create table mq_scheduled (
  id uuid not null,
  due_at timestamptz not null,
  attempts integer not null,
  constraint mq_scheduled_pkey primary key (id)
);
-- Without the id, here and below: a plan that was made while the table was empty would look for one job in the whole of this index.
create index mq_scheduled_by_due on mq_scheduled (due_at);
comment on table mq_scheduled is 'Jobs that are delayed or back off: not before due_at.';

create table mq_held (
  id uuid not null,
  expires_at timestamptz not null,
  due_at timestamptz not null,
  constraint mq_held_pkey primary key (id)
);
create index mq_held_by_expiry on mq_held (expires_at);
comment on table mq_held is 'Jobs spawned with a commit interval and not committed yet: gone after expires_at.';

create table mq_runners (
  runner uuid not null,
  beat bigint not null,
  first_claim bigint not null,
  expires_at timestamptz not null,
  registered_at timestamptz not null,
  description text not null,
  constraint mq_runners_pkey primary key (runner)
) with (fillfactor = 50);
comment on table mq_runners is
  'Incarnations of runners: each holds one lease for all the jobs it runs. beat counts its renewals; below first_claim it holds nothing any more.';

create table mq_running (
  runner uuid not null,
  claim bigint not null,
  id uuid not null,
  attempt mq_attempt not null,
  channel_key bigint,
  constraint mq_running_pkey primary key (runner, claim, id)
);
create unique index mq_running_one_per_ordered_channel on mq_running (channel_key) where channel_key is not null;
comment on table mq_running is
  'Claimed jobs. The row is the fence: (runner, claim) is a token that is never used twice, and completing, failing, check-pointing and releasing lock or delete the row that carries it.';

create sequence mq_number as bigint cache 1;
comment on sequence mq_number is 'Places of ordered jobs in the lines of their channels.';

-- Each row is updated once, when its job starts: half of a page is left for that, so that no index has to know.
create table mq_line (
  channel_key bigint not null,
  number bigint not null,
  id uuid not null,
  name_key bigint not null,
  channel_name_key bigint not null,
  attempts integer not null,
  constraint mq_line_pkey primary key (channel_key, number)
) with (fillfactor = 50);
create index mq_line_by_id on mq_line (id);
comment on table mq_line is
  'Ordered jobs in the order of their channels, from spawn to end. Only the lowest number of a channel may start. A job that is in line and nowhere else is ready.';

create table mq_dead (
  id uuid not null,
  died_at timestamptz not null,
  attempts integer not null,
  number bigint,
  constraint mq_dead_pkey primary key (id)
);
comment on table mq_dead is 'Jobs that are out of attempts, kept with their errors until somebody requeues or discards them.';

create table mq_errors (
  id uuid not null,
  place bigint generated always as identity,
  attempt integer not null,
  failed_at timestamptz not null,
  error text not null,
  constraint mq_errors_pkey primary key (id, place),
  constraint mq_errors_text_is_bounded check (octet_length(error) <= 8192)
);
comment on table mq_errors is 'The error of each failed attempt, while the job exists: the last 20.';

create table mq_checkpoints (
  id uuid not null,
  spawned_at timestamptz not null,
  payload_json text,
  payload_bytes bytea,
  extra_attempts integer not null,
  constraint mq_checkpoints_pkey primary key (id),
  constraint mq_checkpoints_extra_attempts_are_bounded check (extra_attempts between 0 and 1000000),
  constraint mq_checkpoints_payload_is_bounded check (
    coalesce(octet_length(payload_json), 0)::bigint + coalesce(octet_length(payload_bytes), 0) <= 268435456
  )
);
comment on table mq_checkpoints is 'The last checkpoint of a job: what replaces its payload in the next attempt, and the attempts it was given on top. spawned_at is the job''s: what an earlier job of the same id has left is none of its business.';

create table mq_leases (
  id uuid not null,
  runner uuid not null,
  claim bigint not null,
  expires_at timestamptz not null,
  constraint mq_leases_pkey primary key (id)
);
create index mq_leases_by_expiry on mq_leases (expires_at);
comment on table mq_leases is 'Running jobs with a lease of their own, which their runner does not renew.';

create table mq_leftovers (
  place bigint generated always as identity,
  id uuid not null,
  channel_key bigint,
  constraint mq_leftovers_pkey primary key (place)
);
comment on table mq_leftovers is
  'Jobs that ended in a transaction with a snapshot of its own, which can''t delete a checkpoint or a lease written since, nor give the next in line its turn. A runner does.';

create table mq_counts_cache (
  channel_name text not null,
  channel_args text not null,
  state text not null,
  jobs bigint not null,
  constraint mq_counts_cache_pkey primary key (channel_name, channel_args, state)
);
comment on table mq_counts_cache is 'Jobs per channel and state, as counted by a runner a few seconds ago. Read it through mq_counts().';

create table mq_counts_age (
  only_row boolean not null default true,
  counted_at timestamptz not null,
  took interval not null,
  constraint mq_counts_age_pkey primary key (only_row),
  constraint mq_counts_age_is_one_row check (only_row)
);
insert into mq_counts_age (counted_at, took) values ('-infinity', '0');
comment on table mq_counts_age is 'When mq_counts_cache was last counted, and how long that took.';

-- These tables turn over completely in seconds. The defaults wait for a fifth of the table to be dead, which for a queue
-- that once held a million jobs is a fifth of a million, and then vacuum with pauses meant for tables that rest.
-- Truncating the empty end of the heap takes an ACCESS EXCLUSIVE lock and would stall claims for nothing: the pages are needed again.
do $$
declare
  hot text;
begin
  foreach hot in array array['mq_jobs', 'mq_ready', 'mq_scheduled', 'mq_held', 'mq_running', 'mq_line', 'mq_marks',
                             'mq_runners', 'mq_leases', 'mq_leftovers', 'mq_checkpoints', 'mq_errors'] loop
    execute format(
      'alter table %I set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, '
      'autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, vacuum_truncate = false)', hot);
  end loop;
end $$;
