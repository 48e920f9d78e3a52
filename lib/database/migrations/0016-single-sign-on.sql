-- Signing in through somebody else: which providers speak for which addresses, and who is who there.

-- Domains of e-mail addresses that organizations claim. What a provider or a directory says of an address counts only
-- where the organization has proven the address's domain.
create table email_domains (
  id text primary key,
  organization_id text not null references organizations on delete cascade,
  -- In lower case, as in DNS.
  domain text not null,
  -- What the TXT record must hold.
  token text not null,
  verified_at timestamptz,
  created_at timestamptz not null default now(),
  unique (organization_id, domain)
);
create unique index email_domains_verified on email_domains (domain) where verified_at is not null;

-- The provider of an organization.
create table single_sign_on (
  organization_id text primary key references organizations on delete cascade,
  -- OpenID Connect: all three or none.
  issuer text,
  client_id text,
  -- Sealed with the server's secret.
  client_secret text,
  -- Set by an operator: the organization at WorkOS that stands for this one.
  workos_organization_id text unique,
  -- What those who come for the first time may do.
  permissions text[] not null,
  -- Name of the claim that lists a person's groups.
  group_claim text not null default 'groups',
  -- Passwords are closed for addresses of its domains, except for the owner's.
  required boolean not null default false,
  updated_at timestamptz not null default now(),
  check ((issuer is null) = (client_id is null) and (issuer is null) = (client_secret is null))
);

-- Group at the provider → team.
create table single_sign_on_groups (
  organization_id text not null references single_sign_on on delete cascade,
  value text not null,
  team_id text not null,
  primary key (organization_id, value, team_id),
  foreign key (organization_id, team_id) references teams (organization_id, id) on delete cascade
);
create index single_sign_on_groups_team on single_sign_on_groups (organization_id, team_id);

-- Who somebody is at a provider.
create table external_identities (
  -- `organization:<id>` for that organization's provider, `google` for Google.
  provider text not null,
  -- Together they name somebody at the provider, for ever (OpenID Connect Core, 2).
  issuer text not null,
  subject text not null,
  person_id text not null references people on delete cascade,
  -- Null where the provider is no organization's.
  organization_id text references organizations on delete cascade,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  primary key (provider, issuer, subject)
);
create index external_identities_person on external_identities (person_id);
create index external_identities_organization on external_identities (organization_id);

-- Ways to a provider and back that were used up: each leads to a session once.
create table used_sign_on_states (
  state_hash bytea primary key,
  expires_at timestamptz not null
);
create index used_sign_on_states_expires on used_sign_on_states (expires_at);

-- Through which provider a session began; null: with a password.
alter table sessions add column provider text;

-- Whether somebody lacks a second factor depends on both.
create trigger single_sign_on_changed after insert or update or delete on single_sign_on
  for each row execute function note_rights_change();
create trigger email_domains_changed after insert or update or delete on email_domains
  for each row execute function note_rights_change();

-- Directories: programs of organizations that say who is in them, by SCIM 2.0 or through WorkOS.

create table directories (
  id text primary key,
  organization_id text not null unique references organizations on delete cascade,
  kind text not null check (kind in ('SCIM', 'WORKOS')),
  -- SHA-256 of the bearer token; null for a directory at WorkOS, and for one whose token was revoked.
  token_hash bytea unique,
  -- Of the directory at WorkOS.
  workos_directory_id text unique,
  -- What people of the directory may do.
  permissions text[] not null,
  created_at timestamptz not null default now(),
  token_created_at timestamptz,
  last_used_at timestamptz,
  unique (organization_id, id)
);

create table directory_users (
  id text primary key,
  directory_id text not null references directories on delete cascade,
  person_id text not null references people on delete cascade,
  user_name text not null,
  external_id text,
  email text not null,
  given_name text,
  family_name text,
  display_name text,
  active boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (directory_id, person_id)
);
create unique index directory_users_name on directory_users (directory_id, lower(user_name));
create index directory_users_external on directory_users (directory_id, external_id);
create index directory_users_person on directory_users (person_id);

-- A group of a directory is a team; `teams.external_id` says that a directory keeps it.
create table directory_groups (
  id text primary key,
  directory_id text not null references directories on delete cascade,
  organization_id text not null,
  team_id text not null unique,
  external_id text,
  display_name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (organization_id, team_id) references teams (organization_id, id) on delete cascade
);
create unique index directory_groups_name on directory_groups (directory_id, lower(display_name));
create index directory_groups_external on directory_groups (directory_id, external_id);
create index directory_groups_team on directory_groups (organization_id, team_id);

-- Kept beside the memberships of teams, for those who are not active now.
create table directory_group_members (
  group_id text not null references directory_groups on delete cascade,
  user_id text not null references directory_users on delete cascade,
  primary key (group_id, user_id)
);
create index directory_group_members_user on directory_group_members (user_id);

-- Events of WorkOS that were taken: it sends them again until they are confirmed.
create table taken_webhook_events (
  id text primary key,
  at timestamptz not null default now()
);
create index taken_webhook_events_at on taken_webhook_events (at);
