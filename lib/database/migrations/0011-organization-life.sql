-- Organizations and environments that were deleted: kept for their history, but nobody is in them any more, and their
-- slugs are free.

alter table organizations
  add column deleted_at timestamptz,
  drop constraint organizations_slug_key;
create unique index organizations_slug on organizations (slug) where deleted_at is null;

alter table environments
  add column deleted_at timestamptz,
  drop constraint environments_organization_id_slug_key;
create unique index environments_slug on environments (organization_id, slug) where deleted_at is null;

-- When the mail of an invitation was asked for last.
alter table invitations add column sent_at timestamptz;

-- The audit log as it is looked at: newest first, of one kind of event.
create index audit_log_organization_name on audit_log (organization_id, name, at desc, id desc);
