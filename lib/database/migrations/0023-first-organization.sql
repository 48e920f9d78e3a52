-- The organization that was made first, whose administrators are operators where no other is named. Kept when it is deleted:
-- then the next one in age is not the first.
alter table installation add column first_organization_id text;
update installation set first_organization_id = (select id from organizations order by created_at, id limit 1);
