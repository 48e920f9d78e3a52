-- What was claimed by a run leaves the queue when the run is in the history; of a run that never came to be it is put back.
alter table queued_actions
  add column claimed_at timestamptz,
  -- Since when the run that has claimed it is nowhere to be found.
  add column missing_at timestamptz;
update queued_actions set claimed_at = created_at where transaction_id is not null;
create index queued_actions_claimed on queued_actions (claimed_at) where claimed_at is not null;
