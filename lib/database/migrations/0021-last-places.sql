-- The organization somebody has looked at last: they come back to it.
alter table people add column last_organization_id text references organizations on delete set null;
create index people_last_organization on people (last_organization_id);

-- The organization through whose provider the last proof of identity came: it counts there alone. Null: given here.
alter table sessions add column identity_confirmed_through text;

-- Nothing has ever written these: requests of serverless hosts and what a step asks for are state of the partitions.
drop table http_host_requests;
drop table transaction_requirements;
