-- A session whose password was right and whose second factor is still to come: it opens nothing but the screen for it.
alter table sessions add column second_factor_due boolean not null default false;
-- Wrong codes entered in it.
alter table sessions add column second_factor_failures integer not null default 0;
