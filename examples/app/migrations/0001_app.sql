-- The application's own tables. The queue's are installed beside them by `sqlxmq::migrate`.

create table users (
  id bigint generated always as identity primary key,
  email text not null unique
);

create table documents (
  id uuid primary key,
  versions integer not null,
  published integer
);

create table document_versions (
  document uuid not null references documents,
  version integer not null,
  text text not null,
  words integer,
  primary key (document, version)
);

create table reports (
  id uuid primary key,
  finished_at timestamptz
);

create table report_lines (
  report uuid not null references reports,
  domain text not null,
  users bigint not null,
  primary key (report, domain)
);
