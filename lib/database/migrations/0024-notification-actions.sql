-- A notification may come, and be sent, before its transaction is written here: it brings the name of its action.
alter table notifications add column action_name text;
