-- What people's scripts present to the API in place of a session.
create table access_tokens (
  id text primary key,
  person_id text not null references people on delete cascade,
  name text not null,
  -- SHA-256 of the text.
  token_hash bytea not null unique,
  prefix text not null,
  scope text not null check (scope in ('read', 'write')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_used_at timestamptz
);
create index access_tokens_person on access_tokens (person_id, created_at desc);
