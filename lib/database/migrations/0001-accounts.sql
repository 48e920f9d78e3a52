-- People and how they sign in.

create table people (
  id text primary key,
  email text not null,
  -- Parameters, salt and digest in one text; null for a person who has no password (yet).
  password text,
  first_name text,
  last_name text,
  time_zone text,
  default_notification_method text not null default 'EMAIL' check (default_notification_method in ('EMAIL', 'SLACK')),
  email_confirmed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index people_email on people (lower(email));

create table second_factors (
  id text primary key,
  person_id text not null unique references people on delete cascade,
  kind text not null default 'TOTP' check (kind in ('TOTP', 'EXTERNAL')),
  -- Encrypted with the server's secret; null for an external factor.
  secret text,
  -- The last time step that was used: a code works once.
  last_step bigint,
  recovery_code_hashes text[] not null default '{}',
  created_at timestamptz not null default now(),
  confirmed_at timestamptz
);

create table sessions (
  id text primary key,
  person_id text not null references people on delete cascade,
  -- SHA-256 of the token in the cookie.
  token_hash bytea not null unique,
  address text,
  user_agent text,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null,
  identity_confirmed_at timestamptz
);
create index sessions_person on sessions (person_id);
create index sessions_expires on sessions (expires_at);

create table email_confirmations (
  id text primary key,
  person_id text not null references people on delete cascade,
  -- The link carries the id and a keyed digest of it, so nothing secret is stored.
  email text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index email_confirmations_person on email_confirmations (person_id, created_at desc);
create index email_confirmations_email on email_confirmations (lower(email), created_at desc);

create table password_resets (
  id text primary key,
  person_id text not null references people on delete cascade,
  token_hash bytea not null unique,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index password_resets_person on password_resets (person_id);

-- Organizations and who is in them.

create table organizations (
  id text primary key,
  slug text not null unique,
  name text not null,
  owner_id text references people on delete set null,
  require_second_factor boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index organizations_owner on organizations (owner_id);

create table promo_codes (
  code text primary key,
  -- Who gave it out.
  organization_id text not null references organizations on delete cascade,
  created_at timestamptz not null default now()
);
create index promo_codes_organization on promo_codes (organization_id);
-- What an organization came with.
alter table organizations add column promo_code text references promo_codes on delete set null;
create index organizations_promo_code on organizations (promo_code);

create table environments (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  slug text not null,
  name text not null,
  color text,
  position integer not null default 100,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, slug),
  -- Lets other tables prove that an environment belongs to their organization.
  unique (organization_id, id)
);

create table memberships (
  id text primary key,
  person_id text not null references people on delete cascade,
  organization_id text not null references organizations on delete cascade,
  permissions text[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (person_id, organization_id),
  unique (organization_id, id)
);

create table teams (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  slug text not null,
  name text not null,
  external_id text unique,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, slug),
  unique (organization_id, id)
);

create table team_memberships (
  organization_id text not null,
  team_id text not null,
  membership_id text not null,
  created_at timestamptz not null default now(),
  primary key (team_id, membership_id),
  foreign key (organization_id, team_id) references teams (organization_id, id) on delete cascade,
  foreign key (organization_id, membership_id) references memberships (organization_id, id) on delete cascade
);
create index team_memberships_membership on team_memberships (membership_id);
create index team_memberships_organization on team_memberships (organization_id);

create table invitations (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  email text not null,
  permissions text[] not null,
  team_ids text[] not null default '{}',
  invited_by_id text references people on delete set null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  accepted_at timestamptz
);
create index invitations_organization on invitations (organization_id);
create index invitations_email on invitations (lower(email));
create index invitations_invited_by on invitations (invited_by_id);

create table api_keys (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  person_id text not null references people on delete cascade,
  kind text not null check (kind in ('PRODUCTION', 'DEVELOPMENT')),
  -- SHA-256 of the key: generated keys have more entropy than any guess can cover.
  key_hash bytea not null unique,
  -- The first characters, to tell keys apart in a list.
  prefix text not null,
  label text,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz,
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
create index api_keys_organization on api_keys (organization_id, created_at desc);
create index api_keys_environment on api_keys (environment_id);
create index api_keys_person on api_keys (person_id);

-- Flags, and what was done by whom.

create table global_flags (
  flag text primary key,
  enabled boolean not null,
  updated_at timestamptz not null default now()
);

create table organization_flags (
  organization_id text not null references organizations on delete cascade,
  flag text not null,
  enabled boolean not null,
  updated_at timestamptz not null default now(),
  primary key (organization_id, flag)
);

-- Append-only. No foreign keys: a row outlives what it tells of.
create table audit_log (
  id text primary key,
  at timestamptz not null default now(),
  name text not null,
  organization_id text,
  person_id text,
  address text,
  details jsonb not null default '{}'
);
create index audit_log_organization on audit_log (organization_id, at desc);
create index audit_log_person on audit_log (person_id, at desc);
create index audit_log_at on audit_log (at desc);

-- One row: who may be the first. Locked while the first account is made, so that only one can be.
create table installation (
  only_row boolean primary key default true check (only_row),
  set_up_at timestamptz
);
insert into installation (only_row) values (true);
