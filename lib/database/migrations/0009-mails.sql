-- Mails on their way. A row is written in the transaction that has a reason for it, and sent by one node at a time.

create table mails (
  id text primary key,
  -- Null: about somebody's account, which belongs to no organization.
  organization_id text references organizations on delete cascade,
  -- What it is about, e.g. `invitation`.
  kind text not null,
  recipient text not null,
  subject text not null,
  -- Null once it is sent: mails hold links that open things.
  text text,
  html text,
  -- KEPT: no way to send mails was set up.
  status text not null default 'WAITING' check (status in ('WAITING', 'SENT', 'FAILED', 'KEPT')),
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  -- When it is given up.
  deadline_at timestamptz not null,
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((status = 'WAITING') = (next_attempt_at is not null))
);
-- Those about accounts first: whoever wants to sign in is not kept waiting by ten thousand notices.
create index mails_due on mails ((organization_id is not null), next_attempt_at) where status = 'WAITING';
create index mails_waiting on mails (coalesce(organization_id, '')) where status = 'WAITING';
create index mails_organization on mails (organization_id, created_at desc, id desc);
create index mails_recipient on mails (lower(recipient));
create index mails_ended on mails (updated_at) where status <> 'WAITING';
