-- What one node does for all: who moves the time on has the turn.
create table turns (
  name text primary key,
  next_at timestamptz not null default now()
);
