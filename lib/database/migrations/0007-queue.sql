-- Work that waits for somebody: until when, and when they are reminded.
alter table queued_actions
  add column expires_at timestamptz,
  add column remind_at timestamptz;
create index queued_actions_transaction on queued_actions (organization_id, environment_id, created_at, id)
  where transaction_id is null;
