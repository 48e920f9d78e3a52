-- Long histories are looked through by an index each: by result, by person, and by what actions were ever called.
create index transactions_result
  on transactions (organization_id, environment_id, result_status, created_at desc, id desc);
create index transactions_person
  on transactions (owner_id, organization_id, environment_id, created_at desc, id desc);
drop index transactions_owner;

-- Each name that runs of an action have had: few, where runs are many.
create table transaction_names (
  organization_id text not null references organizations on delete cascade,
  environment_id text not null,
  slug text not null,
  name text not null,
  foreign key (organization_id, environment_id) references environments (organization_id, id) on delete cascade
);
-- A digest: names may be longer than what an index takes.
create unique index transaction_names_name on transaction_names (environment_id, md5(slug || chr(10) || name));
create index transaction_names_place on transaction_names (organization_id, environment_id);
insert into transaction_names (organization_id, environment_id, slug, name)
select distinct organization_id, environment_id, action_slug, action_name from transactions;
