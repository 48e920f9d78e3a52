-- Actions and pages as hosts declare them, and what people have set about them.

create table actions (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  -- Set in development: the person whose own action it is.
  developer_id text references people on delete cascade,
  slug text not null,
  is_inline boolean not null default false,
  name text,
  description text,
  backgroundable boolean,
  warn_on_close boolean not null default true,
  unlisted boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
-- Null is a value here: two actions of no developer must not share a slug either.
create unique index actions_place on actions (organization_id, environment_id, coalesce(developer_id, ''), slug);
create index actions_environment on actions (environment_id);
create index actions_developer on actions (developer_id);

create table action_groups (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  developer_id text references people on delete cascade,
  slug text not null,
  name text,
  description text,
  unlisted boolean not null default false,
  has_handler boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
create unique index action_groups_place
  on action_groups (organization_id, environment_id, coalesce(developer_id, ''), slug);
create index action_groups_environment on action_groups (environment_id);
create index action_groups_developer on action_groups (developer_id);

create table action_metadata (
  action_id text primary key references actions on delete cascade,
  name text,
  description text,
  backgroundable boolean,
  -- Null: as the nearest page above it says, else open.
  availability text check (availability in ('ORGANIZATION', 'GROUPS')),
  -- True when the host's code says who may run it: people cannot change it then.
  availability_in_code boolean not null default false,
  default_notification_delivery jsonb,
  archived_at timestamptz,
  updated_at timestamptz not null default now()
);

create table action_group_metadata (
  action_group_id text primary key references action_groups on delete cascade,
  availability text check (availability in ('ORGANIZATION', 'GROUPS')),
  availability_in_code boolean not null default false,
  updated_at timestamptz not null default now()
);

create table action_access (
  action_id text not null references action_metadata on delete cascade,
  team_id text not null references teams on delete cascade,
  level text not null check (level in ('VIEWER', 'RUNNER', 'ADMINISTRATOR')),
  primary key (action_id, team_id)
);
create index action_access_team on action_access (team_id);

create table action_group_access (
  action_group_id text not null references action_group_metadata on delete cascade,
  team_id text not null references teams on delete cascade,
  level text not null check (level in ('VIEWER', 'RUNNER', 'ADMINISTRATOR')),
  primary key (action_group_id, team_id)
);
create index action_group_access_team on action_group_access (team_id);

-- Who serves them.

create table hosts (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  api_key_id text references api_keys on delete set null,
  status text not null check (status in ('ONLINE', 'OFFLINE', 'UNREACHABLE', 'SHUTTING_DOWN')),
  sdk_name text,
  sdk_version text,
  epoch bigint not null default 0,
  seq bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
create index hosts_organization on hosts (organization_id);
create index hosts_environment on hosts (environment_id);
create index hosts_api_key on hosts (api_key_id);
create index hosts_updated on hosts (status, updated_at);

create table http_hosts (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  url text not null,
  status text not null default 'UNREACHABLE' check (status in ('ONLINE', 'OFFLINE', 'UNREACHABLE')),
  sdk_name text,
  sdk_version text,
  last_connected_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  removed_at timestamptz,
  unique (organization_id, url)
);

create table http_host_requests (
  id text primary key,
  http_host_id text not null references http_hosts on delete cascade,
  action_slug text,
  page_slug text,
  created_at timestamptz not null default now(),
  invalid_at timestamptz
);
create index http_host_requests_host on http_host_requests (http_host_id);
create index http_host_requests_created on http_host_requests (created_at);

-- Runs. They live in the partitions; what is here is their history, written at least once and in any order:
-- a row is replaced only by a newer one, by (epoch, seq).

create table transactions (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  developer_id text references people on delete cascade,
  owner_id text references people on delete set null,
  action_id text references actions on delete set null,
  action_slug text not null,
  action_name text not null,
  -- Not a reference: a host may be forgotten, or known here only later.
  host_id text,
  status text not null
    check (status in ('PENDING', 'RUNNING', 'AWAITING_INPUT', 'COMPLETED', 'HOST_CONNECTION_DROPPED', 'CLIENT_CONNECTION_DROPPED')),
  result_status text check (result_status in ('SUCCESS', 'FAILURE', 'CANCELED', 'REDIRECTED')),
  result_data jsonb,
  result_meta jsonb,
  backgroundable boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  completed_at timestamptz,
  epoch bigint not null,
  seq bigint not null,
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
create index transactions_place on transactions (organization_id, environment_id, created_at desc, id desc);
create index transactions_environment on transactions (environment_id);
create index transactions_owner on transactions (owner_id, organization_id, created_at desc);
create index transactions_open on transactions (organization_id, environment_id, owner_id) where completed_at is null;
create index transactions_developer on transactions (developer_id);
create index transactions_action on transactions (action_id, created_at desc);
create index transactions_host on transactions (host_id) where completed_at is null;

create table transaction_logs (
  transaction_id text not null references transactions on delete cascade,
  index integer not null,
  text text not null,
  at timestamptz not null,
  epoch bigint not null,
  seq bigint not null,
  primary key (transaction_id, index)
);

create table transaction_requirements (
  id text primary key,
  transaction_id text not null references transactions on delete cascade,
  type text not null check (type in ('IDENTITY_CONFIRM')),
  grace_period_ms bigint,
  io_call_id text,
  created_at timestamptz not null default now(),
  satisfied_at timestamptz,
  canceled_at timestamptz
);
create index transaction_requirements_transaction on transaction_requirements (transaction_id);

create table queued_actions (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  action_id text references actions on delete cascade,
  action_slug text not null,
  assignee_id text references people on delete cascade,
  transaction_id text unique,
  params jsonb,
  params_meta jsonb,
  created_at timestamptz not null default now(),
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
create index queued_actions_place on queued_actions (organization_id, environment_id, action_slug);
create index queued_actions_environment on queued_actions (environment_id);
create index queued_actions_action on queued_actions (action_id);
create index queued_actions_assignee on queued_actions (assignee_id);

create table schedules (
  id text primary key,
  action_id text not null references actions on delete cascade,
  runner_id text references people on delete set null,
  cron text not null,
  time_zone text not null,
  notify_on_success boolean not null default false,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index schedules_action on schedules (action_id);
create index schedules_runner on schedules (runner_id);

create table schedule_runs (
  id text primary key,
  schedule_id text not null references schedules on delete cascade,
  status text not null check (status in ('SUCCESS', 'FAILURE', 'SKIPPED')),
  transaction_id text unique,
  details text,
  due_at timestamptz not null,
  created_at timestamptz not null default now()
);
create index schedule_runs_schedule on schedule_runs (schedule_id, due_at desc);

create table notifications (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  -- Not a reference: a notification may come before its transaction is written here.
  transaction_id text,
  sender_id text references people on delete set null,
  title text,
  message text not null,
  idempotency_key text,
  created_at timestamptz not null default now(),
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
create unique index notifications_idempotency on notifications (organization_id, idempotency_key)
  where idempotency_key is not null;
create index notifications_place on notifications (organization_id, environment_id, created_at desc);
create index notifications_environment on notifications (environment_id);
create index notifications_transaction on notifications (transaction_id);
create index notifications_sender on notifications (sender_id);

create table notification_deliveries (
  id text primary key,
  notification_id text not null references notifications on delete cascade,
  recipient text not null,
  person_id text references people on delete set null,
  method text check (method in ('EMAIL', 'SLACK')),
  status text not null default 'PENDING' check (status in ('PENDING', 'FAILED', 'DELIVERED')),
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index notification_deliveries_notification on notification_deliveries (notification_id);
create index notification_deliveries_person on notification_deliveries (person_id);
create index notification_deliveries_pending on notification_deliveries (created_at) where status = 'PENDING';
