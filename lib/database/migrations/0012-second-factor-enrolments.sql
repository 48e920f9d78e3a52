-- A second factor that is being set up: nothing asks for it before its first code was entered.
create table second_factor_enrolments (
  person_id text primary key references people on delete cascade,
  factor_id text not null,
  -- Encrypted with the server's secret.
  secret text not null,
  -- Codes that were tried.
  codes integer not null default 0,
  created_at timestamptz not null,
  expires_at timestamptz not null
);

-- Having one decides about rights in organizations that ask for it. Not when a code was used: that changes nothing.
create function note_second_factor_change() returns trigger language plpgsql as $$
begin
  insert into changes (organization_id)
  select organization_id from memberships where person_id = coalesce(new.person_id, old.person_id);
  return null;
end $$;
create trigger second_factors_changed after insert or delete on second_factors
  for each row execute function note_second_factor_change();
