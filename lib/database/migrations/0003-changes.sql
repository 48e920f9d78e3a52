-- What nodes must forget. They remember keys, rights and access rules; whatever changes one of these leaves a row here,
-- by whichever way it changes, and every node looks for new rows every few seconds.

create table changes (
  id bigint generated always as identity primary key,
  -- Who has seen everything below this number has missed nothing: rows become visible in another order than by id.
  transaction xid8 not null default pg_current_xact_id(),
  at timestamptz not null default now(),
  organization_id text,
  -- Set where a single key changed; otherwise everything about rights in the organization.
  api_key_id text
);
create index changes_transaction on changes (transaction);
create index changes_at on changes (at);

create function note_rights_change() returns trigger language plpgsql as $$
begin
  insert into changes (organization_id) values (coalesce(new.organization_id, old.organization_id));
  return null;
end $$;

create function note_organization_change() returns trigger language plpgsql as $$
begin
  insert into changes (organization_id) values (old.id);
  return null;
end $$;

create function note_key_change() returns trigger language plpgsql as $$
begin
  insert into changes (organization_id, api_key_id) values (old.organization_id, old.id);
  return null;
end $$;

create function note_action_change() returns trigger language plpgsql as $$
begin
  insert into changes (organization_id)
  select organization_id from actions where id = coalesce(new.action_id, old.action_id);
  return null;
end $$;

create function note_action_group_change() returns trigger language plpgsql as $$
begin
  insert into changes (organization_id)
  select organization_id from action_groups where id = coalesce(new.action_group_id, old.action_group_id);
  return null;
end $$;

create trigger memberships_changed after insert or update or delete on memberships
  for each row execute function note_rights_change();
create trigger teams_changed after update or delete on teams
  for each row execute function note_rights_change();
create trigger team_memberships_changed after insert or update or delete on team_memberships
  for each row execute function note_rights_change();
create trigger environments_changed after update or delete on environments
  for each row execute function note_rights_change();
create trigger organizations_changed after update or delete on organizations
  for each row execute function note_organization_change();

-- Not when it was used: that is written all the time.
create trigger api_keys_revoked after update on api_keys
  for each row when (old.revoked_at is distinct from new.revoked_at) execute function note_key_change();
create trigger api_keys_deleted after delete on api_keys
  for each row execute function note_key_change();

-- A rule may also go with what it was set on.
create trigger actions_deleted after delete on actions
  for each row execute function note_rights_change();
create trigger action_groups_deleted after delete on action_groups
  for each row execute function note_rights_change();
create trigger action_metadata_changed after insert or update or delete on action_metadata
  for each row execute function note_action_change();
create trigger action_group_metadata_changed after insert or update or delete on action_group_metadata
  for each row execute function note_action_group_change();
create trigger action_access_changed after insert or update or delete on action_access
  for each row execute function note_action_change();
create trigger action_group_access_changed after insert or update or delete on action_group_access
  for each row execute function note_action_group_change();
