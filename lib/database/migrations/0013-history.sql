-- What was entered in a run, with secrets masked, and what it was started with.
alter table transactions
  add column inputs jsonb not null default '[]',
  add column params jsonb not null default '{}';
-- Lists of one action. Those of one person and of everybody have theirs.
create index transactions_slug on transactions (organization_id, environment_id, action_slug, created_at desc, id desc);
