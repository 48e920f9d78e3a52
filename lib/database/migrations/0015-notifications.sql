-- Notifications are delivered: by one node at a time, tried again for a day.
alter table notification_deliveries
  add column attempts integer not null default 0,
  add column next_attempt_at timestamptz not null default now();
-- Nobody wants to hear now of what was news long ago.
update notification_deliveries set status = 'FAILED', error = 'It was written before notifications were delivered.',
  updated_at = now()
where status = 'PENDING';
drop index notification_deliveries_pending;
create index notification_deliveries_due on notification_deliveries (next_attempt_at) where status = 'PENDING';
create index notification_deliveries_recipient on notification_deliveries (lower(recipient), updated_at)
  where status = 'DELIVERED';

-- Everything newer is news to the person.
alter table people add column notifications_seen_at timestamptz;

-- The Slack workspace of an organization.
create table slack_connections (
  organization_id text primary key references organizations on delete cascade,
  workspace text not null,
  -- Sealed with a key made of the server's secret.
  token text not null,
  connected_by_id text references people on delete set null,
  created_at timestamptz not null default now()
);
create index slack_connections_connected_by on slack_connections (connected_by_id);
-- Who was sent to Slack to connect a workspace, and comes back once with this.
create table slack_requests (
  nonce_hash bytea primary key,
  organization_id text not null references organizations on delete cascade,
  person_id text not null references people on delete cascade,
  expires_at timestamptz not null
);
create index slack_requests_organization on slack_requests (organization_id);
create index slack_requests_person on slack_requests (person_id);
create index slack_requests_expires on slack_requests (expires_at);
