-- Until when a person has looked at what was sent to them, in each of their organizations.
create table notification_views (
  person_id text not null references people on delete cascade,
  organization_id text not null references organizations on delete cascade,
  seen_at timestamptz not null,
  primary key (person_id, organization_id)
);
create index notification_views_organization on notification_views (organization_id);
insert into notification_views (person_id, organization_id, seen_at)
select person_id, organization_id, notifications_seen_at
from memberships join people on people.id = memberships.person_id where notifications_seen_at is not null;
alter table people drop column notifications_seen_at;

-- What was sent to a person, the newest first.
create index notification_deliveries_arrived on notification_deliveries (person_id, created_at desc);
drop index notification_deliveries_person;
